import http from 'node:http'
import { CloudEvent, HTTP, Mode, emitterFor, httpTransport } from 'cloudevents'

const [host, mode] = process.argv.slice(2)
const sink = `${host}/cloudevents?write_key=test-write-key`
const events = [
  new CloudEvent({ id: '1', type: 'Viewed', source: '/shop', subject: 'u1', data: { price: 12.5, label: 'Grüße 🎉' } }),
  new CloudEvent({ id: '2', type: 'Bought', source: '/shop', time: '2026-02-28T12:00:00Z', userid: 'u1', sessionid: 's1', data: { n: 9007199254740991 } }),
  new CloudEvent({ id: '3', type: 'Noted', source: '/shop', datacontenttype: 'text/plain', data: 'a text' }),
]

function post(message) {
  return new Promise((resolve, reject) => {
    const request = http.request(sink, { method: 'POST', headers: message.headers }, (reply) => {
      reply.resume()
      reply.on('end', () => (reply.statusCode === 200 ? resolve() : reject(new Error(`answered ${reply.statusCode}`))))
    })
    request.on('error', reject)
    request.end(message.body)
  })
}

async function persistently(send) {
  for (let attempt = 0; attempt < 6; attempt += 1) {
    try {
      return await send()
    } catch (error) {
      if (attempt === 5) throw error
    }
  }
}

if (mode === 'emitter') {
  const emit = emitterFor(httpTransport(sink), { mode: Mode.BINARY })
  for (const event of events) await emit(event)
} else if (mode === 'batch') {
  const body = JSON.stringify(events)
  await persistently(() => post({ headers: { 'content-type': 'application/cloudevents-batch+json' }, body }))
} else {
  for (const event of events) await persistently(() => post(HTTP[mode](event)))
}
