package almanac

import java.io.File

/**
 * An app for stories with a real server: `URL KEY FOLDER COUNT MILLIS NAME`. Takes COUNT events, one in MILLIS, prints the id of each, and ends when all are there.
 * The folder "-" means none.
 */
fun main(arguments: Array<String>) {
    val (url, key, folder, count, millis) = arguments
    val client = Almanac.builder(key, url).batch(20, 100).patience(2000, 20_000).apply { if (folder != "-") folder(File(folder)) }.build()
    repeat(count.toInt()) {
        println(client.track(arguments[5], mapOf("n" to it), Details().userId("u${it % 5}")))
        System.out.flush()
        Thread.sleep(millis.toLong())
    }
    val sent = client.flush(60_000)
    val books = client.close()
    println("end $sent ${books.taken} ${books.delivered} ${books.waiting} ${books.dropped}")
}
