// Every call of Amplitude's SDK for Node, in one batch: amplitude_node.mjs HOST KEY. An explicit flush() would give up at the first failure.
// [snippet]
import * as amplitude from '@amplitude/analytics-node'
// [/snippet]

const [HOST, KEY] = process.argv.slice(2)
const QUICK = { flushIntervalMillis: 300, logLevel: 0 }
const alive = setInterval(() => {}, 1000) // the SDK's own timers do not keep the process up
// [snippet]
amplitude.init(KEY, { serverUrl: HOST + '/2/httpapi', ...QUICK })
const person = new amplitude.Identify().set('plan', 'pro').add('logins', 1).append('tags', 'x')
const sent = [
  amplitude.track('Bought', { price: 12.5, label: 'Grüße 🎉' }, { user_id: 'u1', device_id: 'd1' }),
  amplitude.identify(person, { user_id: 'u1' }),
]
// [/snippet]
const paid = new amplitude.Revenue().setProductId('p1').setPrice(12.5).setQuantity(2)
sent.push(
  amplitude.setGroup('company', 'acme', { user_id: 'u1' }),
  amplitude.groupIdentify('company', 'acme', new amplitude.Identify().set('seats', 5)),
  amplitude.revenue(paid, { user_id: 'u1' }),
)
// [snippet]
await Promise.all(sent.map((one) => one.promise)) // each ends when its event was taken, or given up
// [/snippet]
clearInterval(alive)
