// Every call of Mixpanel's SDK for Node: mixpanel_node.mjs HOST KEY. Most are a request each; it sends nothing again.
// [snippet]
import Mixpanel from 'mixpanel'
// [/snippet]

const [HOST, KEY] = process.argv.slice(2)
const failed = []
const done = (call) => new Promise((end) => call((error) => end(error && failed.push(error))))
// [snippet]
const { host, protocol } = new URL(HOST)
const mixpanel = Mixpanel.init(KEY, { host, protocol: protocol.slice(0, -1), key: 'any' })
mixpanel.track('Bought', { distinct_id: 'u1', price: 12.5, label: 'Grüße 🎉' })
// [/snippet]
await new Promise((end) => setTimeout(end, 700)) // so that it is always the same request that meets the fault
// [snippet]
mixpanel.people.set('u1', { plan: 'pro' })
// [/snippet]
await new Promise((end) => setTimeout(end, 700))
const time = Date.now()
await done((end) => mixpanel.people.set_once('u1', { first: 1 }, {}, end))
await done((end) => mixpanel.people.increment('u1', 'logins', 1, {}, end))
await done((end) => mixpanel.people.append('u1', 'tags', 'x', {}, end))
await done((end) => mixpanel.people.union('u1', { tags: ['y'] }, {}, end))
await done((end) => mixpanel.people.track_charge('u1', 25, {}, {}, end))
await done((end) => mixpanel.people.unset('u1', 'old', {}, end))
await done((end) => mixpanel.alias('u1', 'old', end))
await done((end) => mixpanel.groups.set('company', 'acme', { seats: 5 }, {}, end))
const bulk = [1, 2].map((i) => ({ event: 'Bulk', properties: { distinct_id: 'u1', time, i } }))
await done((end) => mixpanel.track_batch(bulk, {}, (errors) => end(errors && errors[0])))
await done((end) => mixpanel.import('Bought before', time - 86400000, { distinct_id: 'u1' }, end))
await done((end) => mixpanel.people.delete_user('u1', {}, end))
for (const error of failed) console.error(error.message)
