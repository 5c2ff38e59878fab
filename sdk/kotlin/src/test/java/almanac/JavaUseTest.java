package almanac;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import org.junit.jupiter.api.Test;

/** What the documentation shows for Java compiles and works. */
class JavaUseTest {
    @Test
    void fromJava() {
        try (Stand stand = new Stand()) {
            Almanac almanac = Almanac.builder("wk_test", stand.getUrl())
                .onError(problem -> System.err.println(problem.detail))
                .build();
            almanac.track("Ticket Bought", Map.of("seats", 2), new Details().userId("u1").revenue(25, "EUR"));
            assertTrue(almanac.flush());
            assertEquals(1, almanac.close().delivered);
        }
    }
}
