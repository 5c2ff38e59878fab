/** How the first event is sent, by each SDK: text with the host and the key filled in. */

export interface Snippet {
  id: string;
  label: string;
  language: string;
  text: (host: string, key: string) => string;
}

export const SNIPPETS: Snippet[] = [
  {
    id: "web",
    label: "Web page",
    language: "html",
    text: (host, key) => `<script>
  (function (page, q) {
    page.almanac = page.almanac || { q: q };
    var names = "init track page identify alias group revenue register consent reset";
    names.split(" ").forEach(function (name) {
      page.almanac[name] = page.almanac[name] || function () {
        q.push([name].concat([].slice.call(arguments)));
      };
    });
  })(window, []);
</script>
<script async src="${host}/sdk/almanac.js"
  data-key="${key}"></script>

<script>
  almanac.track("signed_up", { plan: "pro" });
</script>`,
  },
  {
    id: "curl",
    label: "curl",
    language: "shell",
    text: (host, key) => `curl ${host}/api/v1/events \\
  -H "Authorization: Bearer ${key}" \\
  -H "Content-Type: application/json" \\
  -d '{"event": "signed_up", "user_id": "ann", "properties": {"plan": "pro"}}'`,
  },
  {
    id: "python",
    label: "Python",
    language: "python",
    text: (host, key) => `import almanac

client = almanac.Client("${key}", "${host}")
client.track("signed_up", {"plan": "pro"}, user_id="ann")
client.flush()`,
  },
  {
    id: "kotlin",
    label: "Kotlin",
    language: "kotlin",
    text: (host, key) => `val almanac = Almanac.builder("${key}", "${host}").build()

almanac.track("signed_up", mapOf("plan" to "pro"), Details().userId("ann"))
almanac.close()`,
  },
  {
    id: "segment-python",
    label: "Segment, Python",
    language: "python",
    text: (host, key) => `import segment.analytics as analytics  # pip install segment-analytics-python

analytics.write_key = "${key}"
analytics.host = "${host}"

analytics.track("ann", "signed_up", {"plan": "pro"})
analytics.flush()`,
  },
  {
    id: "segment-node",
    label: "Segment, Node",
    language: "javascript",
    text: (host, key) => `import { Analytics } from "@segment/analytics-node";

const analytics = new Analytics({ writeKey: "${key}", host: "${host}" });
analytics.track({ userId: "ann", event: "signed_up", properties: { plan: "pro" } });
await analytics.closeAndFlush();`,
  },
  {
    id: "segment-browser",
    label: "Segment, browser",
    language: "javascript",
    text: (host, key) => `import { AnalyticsBrowser } from "@segment/analytics-next";

const analytics = AnalyticsBrowser.load(
  { writeKey: "${key}", cdnURL: "${host}" },
  { integrations: { "Segment.io": { apiHost: "${host.replace(/^https?:\/\//, "")}/v1", protocol: "${host.startsWith("https") ? "https" : "http"}" } } },
);
analytics.page();
analytics.track("signed_up", { plan: "pro" });`,
  },
  {
    id: "posthog-browser",
    label: "PostHog, browser",
    language: "javascript",
    text: (host, key) => `import posthog from "posthog-js";

posthog.init("${key}", { api_host: "${host}", person_profiles: "always" });
posthog.capture("signed_up", { plan: "pro" });`,
  },
  {
    id: "posthog-python",
    label: "PostHog, Python",
    language: "python",
    text: (host, key) => `from posthog import Posthog  # pip install posthog

posthog = Posthog("${key}", host="${host}")
posthog.capture("signed_up", distinct_id="ann", properties={"plan": "pro"})
posthog.shutdown()`,
  },
  {
    id: "posthog-node",
    label: "PostHog, Node",
    language: "javascript",
    text: (host, key) => `import { PostHog } from "posthog-node";

const posthog = new PostHog("${key}", { host: "${host}" });
posthog.capture({ distinctId: "ann", event: "signed_up", properties: { plan: "pro" } });
await posthog.shutdown();`,
  },
];
