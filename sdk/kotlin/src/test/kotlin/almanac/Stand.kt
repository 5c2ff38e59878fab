package almanac

import com.sun.net.httpserver.HttpExchange
import com.sun.net.httpserver.HttpServer
import java.net.InetSocketAddress
import java.util.Collections
import java.util.concurrent.ConcurrentLinkedQueue
import java.util.concurrent.Executors
import java.util.zip.GZIPInputStream

/** A server that fails as told, then keeps what it gets: an event twice is there twice. */
class Stand(vararg failures: String) : AutoCloseable {
    val failures = ConcurrentLinkedQueue(failures.toList())
    val events: MutableList<Map<*, *>> = Collections.synchronizedList(ArrayList())
    val requests: MutableList<List<String>> = Collections.synchronizedList(ArrayList()) // ids, refused ones too
    private val pool = Executors.newCachedThreadPool { Thread(it).apply { isDaemon = true } }
    private val server = HttpServer.create(InetSocketAddress("127.0.0.1", 0), 0).apply {
        executor = pool
        createContext("/api/v1/events") { answer(it) }
        start()
    }
    val url = "http://127.0.0.1:${server.address.port}"

    private fun answer(call: HttpExchange) {
        val body = Json.read(String(GZIPInputStream(call.requestBody).readBytes(), Charsets.UTF_8)) as Map<*, *>
        check(body["sent_at"] is String && call.requestHeaders.getFirst("Authorization") == "Bearer wk_test")
        val batch = (body["batch"] as List<*>).map { it as Map<*, *> }
        requests.add(batch.map { it["id"] as String })
        val failure = failures.poll()
        if (failure == null || failure == "slow") events.addAll(batch)
        when (failure) {
            null -> say(call, 200, """{"status":1,"rejected":[]}""")
            "reject" -> {
                events.addAll(batch.drop(1))
                say(call, 200, """{"status":1,"rejected":[{"index":0,"reason":"no_name","detail":"It has no name."}]}""")
            }
            "portal" -> say(call, 200, "<html>Welcome to our network</html>")
            "close" -> call.close()
            "slow" -> Thread.sleep(1500)
            "429" -> {
                call.responseHeaders.add("Retry-After", "1")
                say(call, 429, "{}")
            }
            else -> say(call, failure.toInt(), """{"message":"no"}""")
        }
    }

    private fun say(call: HttpExchange, status: Int, text: String) {
        call.sendResponseHeaders(status, text.length.toLong())
        call.responseBody.use { it.write(text.toByteArray()) }
    }

    override fun close() {
        server.stop(0)
        pool.shutdownNow()
    }

    fun client(set: Almanac.Builder.() -> Unit = {}): Almanac =
        Almanac.builder("wk_test", url).batch(10, 50).patience(1000, 3000).also(set).build()
}

/** The books close. */
fun Almanac.closes() {
    val books = stats()
    check(books.taken == books.delivered + books.rejected + books.dropped.values.sum() + books.waiting + books.held)
}
