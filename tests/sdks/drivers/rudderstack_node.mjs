// Every call of RudderStack's SDK for Node: rudderstack_node.mjs HOST KEY. Its first call goes out alone, at once.
// [snippet]
import RudderAnalytics from '@rudderstack/rudder-sdk-node'
// [/snippet]

const [HOST, KEY] = process.argv.slice(2)
const QUICK = { timeout: 2000 }
// [snippet]
const analytics = new RudderAnalytics(KEY, {
  dataPlaneUrl: HOST,
  errorHandler: (error) => console.error(error.message), // without it, an answer that is no success ends the process
  ...QUICK,
})
analytics.track({ anonymousId: 'a1', event: 'Viewed', properties: { price: 12.5, label: 'Grüße 🎉' } })
analytics.identify({ userId: 'u1', anonymousId: 'a1', traits: { plan: 'pro' } })
analytics.track({ userId: 'u1', event: 'Bought', properties: { revenue: 12.5, currency: 'EUR' } })
// [/snippet]
analytics.alias({ userId: 'u2', previousId: 'u1' })
analytics.group({ userId: 'u1', groupId: 'acme', traits: { seats: 5 } })
analytics.page({ userId: 'u1', name: 'Home', properties: { url: 'https://x.example/' } })
analytics.screen({ userId: 'u1', name: 'Login' })
// [snippet]
await analytics.flush()
// [/snippet]
