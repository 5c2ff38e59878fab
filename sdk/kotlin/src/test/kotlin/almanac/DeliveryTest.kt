package almanac

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.Timeout
import org.junit.jupiter.api.io.TempDir
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import java.io.File
import java.util.concurrent.CopyOnWriteArrayList

@Timeout(60)
class DeliveryTest {
    @TempDir lateinit var disk: File

    @ParameterizedTest
    @ValueSource(strings = ["500", "429", "close", "portal", "401", "302"])
    fun `comes again with the same ids`(failure: String) {
        for (where in listOf(null, disk)) {
            Stand(failure, failure).use { stand ->
                val client = stand.client { where?.let { folder(it) } }
                val ids = (1..25).map { client.track("beat", mapOf("n" to it)) }
                assertTrue(client.flush(20_000))
                client.closes()
                val books = client.close()
                assertEquals(ids, stand.events.map { it["id"] }, "nothing lost, nothing doubled, in order")
                assertEquals(25, books.delivered)
                assertTrue(books.retries >= 2)
                assertEquals(stand.requests[0], stand.requests[1])
            }
        }
    }

    @Test
    fun `a slow answer brings the same ids again`() {
        Stand("slow").use { stand ->
            val client = stand.client()
            val ids = (1..5).map { client.track("beat") }
            assertTrue(client.flush(20_000))
            assertEquals(ids.toSet(), stand.events.map { it["id"] }.toSet())
            assertEquals(10, stand.events.size, "the server has them twice, and knows the ids")
            client.close()
        }
    }

    @Test
    fun `a batch that is too large comes in halves`() {
        Stand("413", "413").use { stand ->
            val client = stand.client { batch(8, 5000) }
            val ids = (1..8).map { client.track("beat") }
            assertTrue(client.flush(20_000))
            assertEquals(ids, stand.events.map { it["id"] })
            assertEquals(listOf(8, 4, 2, 2, 4), stand.requests.map { it.size })
            client.close()
        }
    }

    @Test
    fun `an event that will never do is given up alone`() {
        val problems = CopyOnWriteArrayList<Problem>()
        Stand("413", "413").use { stand ->
            val client = stand.client {
                batch(2, 5000)
                onError { problems.add(it) }
            }
            client.track("huge")
            val good = client.track("good")
            assertTrue(client.flush(20_000))
            assertEquals(listOf(good), stand.events.map { it["id"] })
            assertEquals(mapOf("refused" to 1L), client.stats().dropped)
            assertEquals(listOf("refused"), problems.map { it.reason })
            client.closes()
            client.close()
        }
    }

    @Test
    fun `what the server puts among its dead letters is said`() {
        val problems = CopyOnWriteArrayList<Problem>()
        Stand("reject").use { stand ->
            val client = stand.client { onError { problems.add(it) } }
            client.track("")
            client.track("good")
            client.flush(20_000)
            val books = client.close()
            assertEquals(1, books.rejected)
            assertEquals(1, books.delivered)
            assertTrue("It has no name." in problems.single().detail)
        }
    }

    @Test
    fun `a listener may close the client`() {
        Stand("500").use { stand ->
            var client: Almanac? = null
            client = stand.client { onError { client?.close() } }
            client.track("beat")
            waitFor { client.stats().dropped["closed"] == 1L }
            client.closes()
        }
    }

    @Test
    fun `a full queue drops and counts, and the app goes on`() {
        val client = Almanac.builder("wk_test", "http://127.0.0.1:9").bounds(100, 1 shl 20).patience(500, 100).build()
        val before = System.nanoTime()
        repeat(5000) { client.track("beat") }
        assertTrue(System.nanoTime() - before < 3_000_000_000)
        assertEquals(4900L, client.stats().dropped["queue_full"])
        assertFalse(client.flush(100))
        client.closes()
        val books = client.close()
        assertEquals(100L, books.dropped["closed"])
        assertEquals("", client.track("late"))
        client.closes()
    }

    @Test
    fun `what the disk keeps is sent by the next start`() {
        val client = Almanac.builder("wk_test", "http://127.0.0.1:9").folder(disk).batch(10, 50).patience(500, 300).build()
        val ids = (1..35).map { client.track("beat") }
        val books = client.close()
        assertEquals(35, books.waiting)
        assertEquals(emptyMap<String, Long>(), books.dropped)
        Stand().use { stand ->
            val next = stand.client { folder(disk) }
            waitFor { stand.events.size == 35 }
            assertEquals(ids.toSet(), stand.events.map { it["id"] }.toSet())
            waitFor { next.stats().waiting == 0L }
            next.closes()
            next.close()
        }
        assertEquals(emptyList<String>(), disk.walk().filter { it.name.endsWith(".jsonl") }.map { it.name }.toList())
    }

    @Test
    fun `the disk is bounded`() {
        val client = Almanac.builder("wk_test", "http://127.0.0.1:9").folder(disk).bounds(50, 10_000).batch(10, 50).patience(500, 300).build()
        repeat(500) {
            client.track("beat")
            Thread.sleep(1)
        }
        client.closes()
        assertTrue(disk.walk().filter { it.name.endsWith(".jsonl") }.sumOf { it.length() } <= 10_000)
        assertTrue(client.stats().dropped.getValue("queue_full") > 0)
        client.close()
        client.closes()
    }

    @Test
    fun `a room of somebody living is left alone`() {
        Stand().use { stand ->
            val first = Almanac.builder("wk_test", "http://127.0.0.1:9").folder(disk).batch(10, 50).patience(500, 300).build()
            val id = first.track("first")
            waitFor { disk.walk().any { it.name.endsWith(".jsonl") } }
            val second = stand.client { folder(disk) }
            second.track("second")
            second.flush(20_000)
            Thread.sleep(300)
            assertEquals(listOf("second"), stand.events.map { it["event"] })
            first.close()
            second.close()
            stand.client { folder(disk) }.use2 {
                waitFor { stand.events.any { it["id"] == id } }
            }
        }
    }

    @Test
    fun `a line that was cut off is left out`() {
        val room = File(Files.folder(File(disk, "almanac"), "wk_test"), "0-dead").apply { mkdirs() }
        File(room, "lock").createNewFile()
        File(room, "00000001.jsonl").writeText("{\"id\":\"1\",\"event\":\"whole\"}\n{\"id\":\"2\",\"properties\":{\"n\":1}")
        Stand().use { stand ->
            val client = stand.client { folder(disk) }
            waitFor { stand.events.isNotEmpty() && !room.exists() }
            assertEquals(listOf("1"), stand.events.map { it["id"] })
            assertEquals(emptyMap<String, Long>(), client.close().dropped)
            assertEquals(listOf(listOf("1")), stand.requests.toList())
        }
    }
}

fun waitFor(seconds: Int = 20, what: () -> Boolean) {
    val end = System.nanoTime() + seconds * 1_000_000_000L
    while (!what()) {
        check(System.nanoTime() < end) { "it did not come about in time" }
        Thread.sleep(20)
    }
}

fun Almanac.use2(what: () -> Unit) {
    try {
        what()
    } finally {
        close()
    }
}
