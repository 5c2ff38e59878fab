// Every call of Matomo's tracker for Node: matomo_node.mjs HOST KEY. It sends nothing again.
// [snippet]
import MatomoTracker from 'matomo-tracker'
// [/snippet]

const [HOST, KEY] = process.argv.slice(2)
// [snippet]
const matomo = new MatomoTracker(KEY, HOST + '/matomo.php')
matomo.on('error', (error) => console.error(error))
const visitor = { _id: '0123456789abcdef', uid: 'u1' }
matomo.track({ ...visitor, url: 'https://x.example/', action_name: 'Home' })
// [/snippet]
await new Promise((done) => setTimeout(done, 700)) // so that it is always the same request that meets the fault
// [snippet]
matomo.trackBulk([
  { ...visitor, url: 'https://x.example/', e_c: 'video', e_a: 'play', e_n: 'Grüße 🎉', e_v: 2.5 },
  { ...visitor, url: 'https://x.example/', idgoal: 0, ec_id: 'o1', revenue: 12.5 },
])
// [/snippet]
