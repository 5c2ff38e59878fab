// CloudEvents of the SDK for Node.js, sent by its own emitter: `cloudevents_node.mjs HOST KEY`.
// [snippet]
import { CloudEvent, Mode, emitterFor, httpTransport } from 'cloudevents'

// [/snippet]
const [HOST, KEY] = process.argv.slice(2)
// [snippet]
const emit = emitterFor(httpTransport(HOST + '/cloudevents'), { mode: Mode.STRUCTURED })
await emit(
  new CloudEvent({ type: 'Bought', source: '/shop', subject: 'u1', data: { revenue: 12.5, currency: 'EUR' } }),
  { headers: { authorization: 'Bearer ' + KEY } },
)
// [/snippet]
const binary = emitterFor(httpTransport(`${HOST}/any/path?write_key=${KEY}`))
await binary(new CloudEvent({ type: 'Viewed', source: '/shop', subject: 'u1', data: { price: 12.5, label: 'Grüße 🎉' } }))
