// Every call of Segment's SDK for Node, in one batch: segment_node.mjs HOST KEY.
// [snippet]
import { Analytics } from '@segment/analytics-node'
// [/snippet]

const [HOST, KEY] = process.argv.slice(2)
const QUICK = { httpRequestTimeout: 2000 }
// [snippet]
const analytics = new Analytics({ writeKey: KEY, host: HOST, ...QUICK })
analytics.track({ anonymousId: 'a1', event: 'Viewed', properties: { price: 12.5, label: 'Grüße 🎉' } })
analytics.identify({ userId: 'u1', anonymousId: 'a1', traits: { plan: 'pro' } })
analytics.track({ userId: 'u1', event: 'Bought', properties: { revenue: 12.5, currency: 'EUR' } })
// [/snippet]
analytics.alias({ userId: 'u2', previousId: 'u1' })
analytics.group({ userId: 'u1', groupId: 'acme', traits: { seats: 5 } })
analytics.page({ userId: 'u1', name: 'Home', properties: { url: 'https://x.example/' } })
analytics.screen({ userId: 'u1', name: 'Login', timestamp: '2026-02-28T12:00:00+02:00' })
// [snippet]
await analytics.closeAndFlush({ timeout: 20000 })
// [/snippet]
