import { Analytics } from '@segment/analytics-node'

const [host] = process.argv.slice(2)
const failures = []
const analytics = new Analytics({ writeKey: 'test-write-key', host, flushAt: 3 })
analytics.on('error', (error) => failures.push(String(error.reason ?? error)))
analytics.track({ anonymousId: 'a1', event: 'Viewed', properties: { price: 12.5, label: 'Grüße 🎉' } })
analytics.identify({ userId: 'u1', anonymousId: 'a1', traits: { plan: 'pro' } })
analytics.track({ userId: 'u1', event: 'Bought', timestamp: '2026-02-28T12:00:00+02:00' })
analytics.alias({ userId: 'u2', previousId: 'u1' })
analytics.group({ userId: 'u1', groupId: 'acme', traits: { seats: 5 } })
analytics.page({ userId: 'u1', name: 'Home', properties: { url: 'https://x.example/' } })
analytics.screen({ userId: 'u1', name: 'Login' })
await analytics.closeAndFlush({ timeout: 20000 })
if (failures.length) throw new Error(failures.join('\n'))
