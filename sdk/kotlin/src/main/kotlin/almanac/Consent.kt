package almanac

/** What somebody agreed to for one purpose. While it is [PENDING], events wait in memory and nothing is stored or sent. */
enum class Consent {
    GRANTED,
    DENIED,
    PENDING,
    ;

    internal val word get() = name.lowercase()
}
