package almanac

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.Timeout
import org.junit.jupiter.api.io.TempDir
import java.io.File
import java.math.BigDecimal
import java.math.BigInteger
import java.time.Instant
import java.util.Date
import java.util.UUID

@Timeout(60)
class CallsTest {
    @TempDir lateinit var disk: File

    @Test
    fun `an app knows who uses it`() {
        Stand().use { stand ->
            val client = stand.client {
                server(false)
                folder(disk)
            }
            client.screen("Home")
            client.identify("u1", mapOf("plan" to "pro"))
            client.group("company", "acme", mapOf("seats" to 5))
            client.track("Bought", mapOf("seats" to 2), Details().revenue(25, "EUR"))
            val anonymous = client.anonymousId
            client.reset()
            client.track("Looked")
            client.flush()
            client.close()
            val (home, identify, group, bought, looked) = stand.events
            assertEquals(anonymous, home["anonymous_id"])
            assertEquals(null, home["user_id"])
            assertEquals(listOf("u1", anonymous, "identify"), listOf(identify["user_id"], identify["anonymous_id"], identify["kind"]))
            assertEquals(mapOf("set" to mapOf("plan" to "pro")), identify["person"])
            assertEquals(mapOf("type" to "company", "key" to "acme", "set" to mapOf("seats" to 5.0)), group["group"])
            assertEquals(mapOf("company" to "acme"), bought["groups"])
            assertEquals(mapOf("seats" to 2.0, "revenue" to 25.0, "currency" to "EUR"), bought["properties"])
            assertEquals(home["session_id"], bought["session_id"])
            assertEquals(listOf(null, null), listOf(looked["user_id"], looked["groups"]))
            assertNotEquals(anonymous, looked["anonymous_id"])
            assertNotEquals(home["session_id"], looked["session_id"])
            val again = stand.client {
                server(false)
                folder(disk)
            }
            assertEquals(looked["anonymous_id"], again.anonymousId, "kept over the end of the app")
            again.close()
        }
    }

    @Test
    fun `a server speaks for many`() {
        Stand().use { stand ->
            val client = stand.client()
            client.identify("u1", details = Details().anonymousId("a1"))
            client.track("Bought", details = Details().userId(42).time(Date(0)).keepTime().group("company", "acme"))
            client.alias("u2", "u1", merge = true)
            client.profile(mapOf("plan" to "pro"), changes = mapOf("add" to mapOf("logins" to 1)), details = Details().userId("u2"))
            client.flush()
            client.close()
            val (identify, bought, alias, profile) = stand.events
            assertEquals(mapOf("add" to mapOf("logins" to 1.0), "set" to mapOf("plan" to "pro")), profile["person"])
            assertEquals(listOf("u1", "a1"), listOf(identify["user_id"], identify["anonymous_id"]))
            assertEquals("42", bought["user_id"])
            assertEquals("1970-01-01T00:00:00.000Z", bought["time"])
            assertEquals(true, bought["keep_time"])
            assertEquals(listOf(null, null), listOf(bought["anonymous_id"], bought["session_id"]))
            assertEquals(listOf("u2", "u1", "merge"), listOf(alias["user_id"], alias["previous_id"], alias["how"]))
        }
    }

    @Test
    fun `nothing is stored or sent before consent`() {
        Stand().use { stand ->
            val client = stand.client {
                server(false)
                folder(disk)
                consent("analytics", Consent.PENDING)
            }
            val mutable = mutableMapOf<String, Any?>("n" to 1)
            client.track("before", mutable)
            mutable["n"] = 2
            client.track("advert", details = Details().purpose("marketing"))
            Thread.sleep(300)
            assertEquals(emptyList<File>(), disk.walk().filter { it.isFile }.toList())
            assertEquals(2, client.stats().held)
            client.consent("marketing", Consent.DENIED)
            client.consent("analytics", Consent.GRANTED)
            client.track("after")
            client.flush()
            client.closes()
            assertEquals(listOf("before", "after"), stand.events.map { it["event"] })
            assertEquals(mapOf("n" to 1.0), stand.events[0]["properties"])
            assertEquals(mapOf("consent" to mapOf("analytics" to "granted", "marketing" to "denied"), "purpose" to "analytics"), stand.events[0]["flags"])
            assertEquals(mapOf("no_consent" to 1L), client.stats().dropped)
            waitFor { disk.walk().any { it.name == "identity.json" } }
            client.consent("analytics", Consent.DENIED)
            assertEquals("", client.track("no more"))
            client.close()
            assertEquals(emptyList<File>(), disk.walk().filter { it.name == "identity.json" }.toList())
        }
    }

    @Test
    fun `values of every kind`() {
        val loop = ArrayList<Any?>().also { it.add(it) }
        val broken = object {
            override fun toString(): String = throw IllegalStateException()
        }
        val id = UUID.randomUUID()
        val written = mapOf(
            "nan" to Double.NaN, "big" to BigInteger("1".repeat(40)), "exact" to BigDecimal("12.3400"), "date" to Date(1_763_759_353_789),
            "id" to id, "bytes" to byteArrayOf(1, 2, 3, 4), "list" to listOf(1, 2L, 1.5f), "set" to setOf("a"), "array" to intArrayOf(1),
            "text" to "Grüße 🎉 \"\\\n\u0000", "instant" to Instant.ofEpochSecond(0), "enum" to Consent.GRANTED, "nothing" to null, "char" to 'c',
            "broken" to broken, 7 to "key",
        )
        val text = Json.text(written)
        val read = Json.read(text) as Map<*, *>
        assertEquals(null, read["nan"])
        assertTrue("\"big\":${"1".repeat(40)}" in text && "\"exact\":12.3400" in text)
        assertEquals("2025-11-21T21:09:13.789Z", read["date"])
        assertEquals(id.toString(), read["id"])
        assertEquals("AQIDBA==", read["bytes"])
        assertEquals("Grüße 🎉 \"\\\n\u0000", read["text"])
        assertEquals("1970-01-01T00:00:00Z", read["instant"])
        assertEquals("GRANTED", read["enum"])
        assertEquals("key", read["7"])
        assertTrue(Json.read(Json.text(loop)) is List<*>)
        assertTrue((read["broken"] as String).startsWith("<"))
    }

    @Test
    fun `times are those of java`() {
        val dice = java.util.Random(1)
        repeat(20_000) {
            val millis = (dice.nextLong() % 8_000_000_000_000L).coerceAtLeast(-62_000_000_000_000L)
            val wanted = Instant.ofEpochMilli(millis)
            assertEquals(wanted, Instant.parse(Times.iso(millis)))
        }
    }

    @Test
    fun `what cannot be is refused at the start`() {
        assertThrows(IllegalArgumentException::class.java) { Almanac.builder("", "http://x").build() }
        assertThrows(IllegalArgumentException::class.java) { Almanac.builder("wk", "example.org").build() }
        assertThrows(IllegalArgumentException::class.java) { Almanac.builder("wk", "ftp://example.org").build() }
    }
}
