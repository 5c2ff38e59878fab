// Every call of Snowplow's tracker for Node, in one batch: snowplow_node.mjs HOST KEY. What failed goes out with the next flush.
// [snippet]
import { buildPageView, buildSelfDescribingEvent, newTracker } from '@snowplow/node-tracker'
// [/snippet]
import {
  buildEcommerceTransaction,
  buildEcommerceTransactionItem,
  buildPagePing,
  buildScreenView,
  buildStructEvent,
} from '@snowplow/node-tracker'

const [HOST, KEY] = process.argv.slice(2)
let kept = 0
const QUICK = { connectionTimeout: 2000, onRequestSuccess: (events) => (kept += events.length) }
// [snippet]
const tracker = newTracker({ namespace: 'shop', appId: KEY }, { endpoint: HOST, bufferSize: 50, ...QUICK })
tracker.setUserId('u1')
tracker.setDomainUserId('a1')
tracker.setSessionId('s1')
tracker.track(buildPageView({ pageUrl: 'https://x.example/', pageTitle: 'Home' }))
const bought = { revenue: 12.5, currency: 'EUR', label: 'Grüße 🎉' }
tracker.track(buildSelfDescribingEvent({ event: { schema: 'iglu:com.acme/bought/jsonschema/1-0-0', data: bought } }))
// [/snippet]
const user = { schema: 'iglu:com.acme/user/jsonschema/1-0-0', data: { plan: 'pro' } }
tracker.track(buildStructEvent({ category: 'video', action: 'play', label: 'trailer', value: 2.5 }), [user])
tracker.track(buildPagePing({ pageUrl: 'https://x.example/', maxYOffset: 500 }))
tracker.track(buildScreenView({ id: '0190a0b0-0000-7000-8000-000000000002', name: 'Login' }))
tracker.track(buildEcommerceTransaction({ orderId: 'o1', total: 12.5, currency: 'EUR' }))
tracker.track(buildEcommerceTransactionItem({ orderId: 'o1', sku: 'S-1', price: 12.5, quantity: 1, currency: 'EUR' }))
// [snippet]
await tracker.flush()
// [/snippet]
const until = performance.now() + 20000
while (kept < 7 && performance.now() < until) {
  await new Promise((done) => setTimeout(done, 300))
  await tracker.flush()
}
