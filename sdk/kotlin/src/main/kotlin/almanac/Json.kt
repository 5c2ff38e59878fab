package almanac

import java.io.ByteArrayOutputStream
import java.io.OutputStreamWriter
import java.util.Calendar
import java.util.Date

/**
 * Values of an app as JSON, and answers of the server back from it. Whatever the value is, something sensible comes out, and nothing is thrown.
 *
 * Dates become ISO 8601 texts, byte arrays base64 texts, enums their name; NaN and infinities become null; big numbers keep all their digits.
 * Anything else (a UUID, a java.time value) becomes its `toString()`.
 */
internal object Json {
    /** Levels that are kept as they are; the server takes 64 of a whole event. What contains itself ends there. */
    private const val DEEPEST = 50

    fun bytes(value: Any?): ByteArray {
        val out = ByteArrayOutputStream(256)
        OutputStreamWriter(out, Charsets.UTF_8).use { it.write(text(value)) }
        return out.toByteArray()
    }

    fun text(value: Any?): String = StringBuilder(256).also { write(value, it, 0) }.toString()

    private fun write(value: Any?, to: StringBuilder, level: Int) {
        when (value) {
            null -> to.append("null")
            is Boolean -> to.append(value)
            is CharSequence -> quote(value.toString(), to)
            is Char -> quote(value.toString(), to)
            is Double -> if (value.isFinite()) to.append(value) else to.append("null")
            is Float -> if (value.isFinite()) to.append(value) else to.append("null")
            is Number -> number(value.toString(), to)
            is Date -> quote(Times.iso(value.time), to)
            is Calendar -> quote(Times.iso(value.timeInMillis), to)
            is Enum<*> -> quote(value.name, to)
            is ByteArray -> quote(base64(value), to)
            else -> if (level >= DEEPEST) quote(said(value), to) else nested(value, to, level)
        }
    }

    private fun nested(value: Any, to: StringBuilder, level: Int) {
        val start = to.length
        try {
            when (value) {
                is Map<*, *> -> list(value.entries, to, '{', '}') { (key, item) ->
                    quote(said(key), to)
                    to.append(':')
                    write(item, to, level + 1)
                }
                is Iterable<*> -> list(value, to, '[', ']') { write(it, to, level + 1) }
                is Array<*> -> list(value.asIterable(), to, '[', ']') { write(it, to, level + 1) }
                is IntArray -> list(value.asIterable(), to, '[', ']') { write(it, to, level + 1) }
                is LongArray -> list(value.asIterable(), to, '[', ']') { write(it, to, level + 1) }
                is DoubleArray -> list(value.asIterable(), to, '[', ']') { write(it, to, level + 1) }
                is FloatArray -> list(value.asIterable(), to, '[', ']') { write(it, to, level + 1) }
                is BooleanArray -> list(value.asIterable(), to, '[', ']') { write(it, to, level + 1) }
                else -> quote(said(value), to)
            }
        } catch (error: RuntimeException) { // the app's own class failed, or another thread changed the collection
            to.setLength(start)
            quote("<${value.javaClass.simpleName}>", to)
        }
    }

    private inline fun <T> list(items: Iterable<T>, to: StringBuilder, open: Char, close: Char, one: (T) -> Unit) {
        to.append(open)
        var first = true
        for (item in items) {
            if (!first) to.append(',')
            first = false
            one(item)
        }
        to.append(close)
    }

    private fun number(text: String, to: StringBuilder) {
        if (NUMBER.matches(text)) to.append(text) else quote(text, to)
    }

    private fun quote(text: String, to: StringBuilder) {
        to.append('"')
        for (char in text) {
            when {
                char == '"' || char == '\\' -> to.append('\\').append(char)
                char < ' ' -> to.append("\\u").append(char.code.toString(16).padStart(4, '0'))
                else -> to.append(char)
            }
        }
        to.append('"')
    }

    private fun said(value: Any?): String =
        try {
            value.toString()
        } catch (error: Throwable) { // StackOverflowError too: a collection that contains itself
            "<${value?.javaClass?.simpleName}>"
        }

    /** By hand: java.util.Base64 is missing on Android before API 26, android.util.Base64 everywhere else. */
    private fun base64(bytes: ByteArray): String {
        val text = StringBuilder((bytes.size + 2) / 3 * 4)
        for (start in bytes.indices step 3) {
            var word = 0
            for (place in 0 until 3) word = (word shl 8) or (if (start + place < bytes.size) bytes[start + place].toInt() and 255 else 0)
            for (place in 0 until 4) text.append(if (start + place - 1 < bytes.size) ALPHABET[(word shr (18 - 6 * place)) and 63] else '=')
        }
        return text.toString()
    }

    private const val ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    private val NUMBER = Regex("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")

    /** Objects as maps, lists as lists, numbers as doubles; null when it is not JSON. */
    fun read(text: String): Any? =
        try {
            Reader(text).whole()
        } catch (error: RuntimeException) {
            null
        }

    private class Reader(private val text: String) {
        private var at = 0

        fun whole(): Any? {
            val value = value(0)
            blank()
            check(at == text.length)
            return value
        }

        private fun value(level: Int): Any? {
            check(level < 200)
            blank()
            return when (val char = text[at]) {
                '{' -> items('}') { found: MutableMap<String, Any?> ->
                    blank()
                    val key = string()
                    blank()
                    expect(':')
                    found[key] = value(level + 1)
                }
                '[' -> ArrayList<Any?>().also { list -> items(']') { _ -> list.add(value(level + 1)) } }
                '"' -> string()
                't' -> word("true", true)
                'f' -> word("false", false)
                'n' -> word("null", null)
                else -> {
                    val start = at
                    while (at < text.length && text[at] in "+-.eE0123456789") at++
                    check(at > start) { "unexpected $char" }
                    text.substring(start, at).toDouble()
                }
            }
        }

        private fun items(close: Char, one: (MutableMap<String, Any?>) -> Unit): Map<String, Any?> {
            val found = LinkedHashMap<String, Any?>()
            at++
            blank()
            if (text[at] == close) {
                at++
                return found
            }
            while (true) {
                one(found)
                blank()
                if (text[at++] == close) return found
                check(text[at - 1] == ',')
            }
        }

        private fun string(): String {
            expect('"')
            val found = StringBuilder()
            while (true) {
                val char = text[at++]
                if (char == '"') return found.toString()
                if (char != '\\') {
                    found.append(char)
                    continue
                }
                when (val escaped = text[at++]) {
                    'n' -> found.append('\n')
                    't' -> found.append('\t')
                    'r' -> found.append('\r')
                    'b' -> found.append('\b')
                    'f' -> found.append('\u000c')
                    'u' -> {
                        found.append(text.substring(at, at + 4).toInt(16).toChar())
                        at += 4
                    }
                    else -> found.append(escaped)
                }
            }
        }

        private fun word(word: String, value: Any?): Any? {
            check(text.startsWith(word, at))
            at += word.length
            return value
        }

        private fun expect(char: Char) = check(text[at++] == char)

        private fun blank() {
            while (at < text.length && text[at] <= ' ') at++
        }
    }
}

internal object Times {
    /** Milliseconds since 1970 as ISO 8601 in UTC. By hand: java.time is missing on Android before API 26. */
    fun iso(millis: Long): String {
        val days = floorDiv(millis, 86_400_000L)
        val rest = (millis - days * 86_400_000L).toInt()
        // Civil date of a day number, by H. Hinnant's "chrono-Compatible Low-Level Date Algorithms".
        val shifted = days + 719_468
        val era = floorDiv(shifted, 146_097L)
        val dayOfEra = shifted - era * 146_097
        val yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        val dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        val month = (5 * dayOfYear + 2) / 153
        val day = dayOfYear - (153 * month + 2) / 5 + 1
        val civil = if (month < 10) month + 3 else month - 9
        val year = yearOfEra + era * 400 + if (civil <= 2) 1 else 0
        return two(year, 4) + "-" + two(civil) + "-" + two(day) + "T" + two(rest / 3_600_000L) + ":" + two(rest / 60_000L % 60) + ":" +
            two(rest / 1000L % 60) + "." + two(rest % 1000L, 3) + "Z"
    }

    private fun two(value: Long, digits: Int = 2) = value.toString().padStart(digits, '0')

    /** Math.floorDiv is missing on Android before API 24. */
    private fun floorDiv(value: Long, by: Long): Long = if (value >= 0) value / by else -((-value + by - 1) / by)
}
