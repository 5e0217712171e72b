package example.stock;

import com.fasterxml.jackson.dataformat.xml.XmlMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import java.util.Map;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.web.reactive.context.ReactiveWebServerApplicationContext;
import org.springframework.r2dbc.core.DatabaseClient;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import reactor.core.publisher.Mono;

@SpringBootApplication
public class Stock {
    public static void main(String[] args) throws Exception {
        var context = (ReactiveWebServerApplicationContext) SpringApplication.run(Stock.class, args);
        int port = context.getWebServer().getPort();
        var client = new OkHttpClient();
        for (String path : new String[] {"stock", "yaml", "actuator/metrics"}) {
            var request = new Request.Builder().url("http://127.0.0.1:" + port + "/" + path).build();
            try (var response = client.newCall(request).execute()) {
                if (response.code() != 200) {
                    throw new IllegalStateException(path + ": " + response.code());
                }
            }
        }
        System.out.println("TRUTH {\"done\": true}");
        Thread.currentThread().join();
    }

    @RestController
    static class Api {
        private final DatabaseClient database;

        Api(DatabaseClient database) {
            this.database = database;
        }

        @GetMapping("/stock")
        Mono<String> stock() {
            return database.sql("select 42").map(row -> String.valueOf(row.get(0))).one();
        }

        @GetMapping("/yaml")
        String yaml() throws Exception {
            var value = Map.of("a", 1);
            return new YAMLMapper().writeValueAsString(value) + new XmlMapper().writeValueAsString(value);
        }
    }
}
