package example.idle;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.List;
import org.apache.commons.codec.binary.Hex;
import org.apache.commons.lang3.StringUtils;
import org.jsoup.Jsoup;
import org.yaml.snakeyaml.Yaml;

/** Comes back to work after a rest that outlasts two sweeps of caches. xmlbeans and velocity stay unused. */
public class Idle {
    public static void main(String[] args) throws Exception {
        new ObjectMapper().writeValueAsString(List.of(StringUtils.capitalize("a")));
        // Opened by the search for a resource; the first class of it comes after the rest.
        Idle.class.getResource("/org/yaml/snakeyaml/Yaml.class").openStream().close();
        Thread.sleep(Long.parseLong(args[0]) * 1000);
        new Yaml().load("a: 1");
        StringUtils.getLevenshteinDistance("a", "b");
        Hex.encodeHexString(new byte[] {1});
        Jsoup.parse("<p>a");
        System.out.println("TRUTH {\"done\": true}");
        Thread.currentThread().join();
    }
}
