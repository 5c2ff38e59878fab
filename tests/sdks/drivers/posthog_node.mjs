// Every call of PostHog's SDK for Node, in one batch: posthog_node.mjs HOST KEY. POSTHOG_CAPTURE_MODE=v1 before it: version 1.
// [snippet]
import { PostHog } from 'posthog-node'
// [/snippet]

const [HOST, KEY] = process.argv.slice(2)
const QUICK = { requestTimeout: 2000, fetchRetryDelay: 200 }
const alive = setInterval(() => {}, 1000) // the SDK's own timers do not keep the process up
// [snippet]
const posthog = new PostHog(KEY, { host: HOST, ...QUICK })
posthog.capture({
  distinctId: 'u1',
  event: 'bought',
  properties: { price: 12.5, label: 'Grüße 🎉' },
  groups: { company: 'acme' },
})
posthog.identify({ distinctId: 'u1', properties: { plan: 'pro' } })
// [/snippet]
posthog.alias({ distinctId: 'u1', alias: 'old' })
posthog.groupIdentify({ groupType: 'company', groupKey: 'acme', properties: { seats: 5 } })
posthog.captureException(new Error('boom'), 'u1')
if ((await posthog.isFeatureEnabled('flag', 'u1')) === true) throw new Error('there should be no flag')
await new Promise((done) => setTimeout(done, 300))
// [snippet]
await posthog.shutdown(20000)
// [/snippet]
clearInterval(alive)
