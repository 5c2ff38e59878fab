import { PostHog } from 'posthog-node'

const [host] = process.argv.slice(2)
const alive = setInterval(() => {}, 1000) // the SDK's own timers do not keep the process up
const posthog = new PostHog('test-write-key', { host, flushAt: 3, fetchRetryDelay: 200 })
posthog.capture({ distinctId: 'u1', event: 'bought', properties: { price: 12.5, label: 'Grüße 🎉' }, groups: { company: 'acme' } })
posthog.identify({ distinctId: 'u1', properties: { plan: 'pro' } })
posthog.alias({ distinctId: 'u1', alias: 'old' })
posthog.groupIdentify({ groupType: 'company', groupKey: 'acme', properties: { seats: 5 } })
posthog.captureException(new Error('boom'), 'u1')
if ((await posthog.isFeatureEnabled('flag', 'u1')) === true) throw new Error('there should be no flag')
await new Promise((done) => setTimeout(done, 300))
await posthog.shutdown(20000)
clearInterval(alive)
