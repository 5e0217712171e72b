package example.desk;

import com.google.gson.Gson;
import java.net.HttpURLConnection;
import java.net.URI;
import java.util.Map;
import org.joda.time.DateTime;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.web.servlet.context.ServletWebServerApplicationContext;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.retry.support.RetryTemplate;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** commons-io and Jersey are in the archive; what of them is used is for the JVM to say. */
@SpringBootApplication
public class Desk {
    public static void main(String[] args) throws Exception {
        var context = (ServletWebServerApplicationContext) SpringApplication.run(Desk.class, args);
        var url = URI.create("http://127.0.0.1:" + context.getWebServer().getPort() + "/desk").toURL();
        var connection = (HttpURLConnection) url.openConnection();
        if (connection.getResponseCode() != 200) {
            throw new IllegalStateException("status " + connection.getResponseCode());
        }
        connection.getInputStream().readAllBytes();
        System.out.println("TRUTH {\"done\": true}");
        Thread.currentThread().join();
    }

    @RestController
    static class Api {
        private final JdbcTemplate database;

        Api(JdbcTemplate database) {
            this.database = database;
        }

        @GetMapping("/desk")
        public String desk() {
            var one = RetryTemplate.defaultInstance()
                    .execute(context -> database.queryForObject("values(1)", Integer.class));
            return new Gson().toJson(Map.of("one", one, "now", DateTime.now().toString()));
        }
    }
}
