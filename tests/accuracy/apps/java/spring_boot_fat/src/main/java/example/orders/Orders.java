package example.orders;

import jakarta.persistence.Entity;
import jakarta.persistence.GeneratedValue;
import jakarta.persistence.Id;
import jakarta.validation.constraints.NotBlank;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.URI;
import org.apache.commons.lang3.StringUtils;
import org.apache.poi.xssf.usermodel.XSSFWorkbook;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.web.servlet.context.ServletWebServerApplicationContext;
import org.springframework.cache.annotation.Cacheable;
import org.springframework.cache.annotation.EnableCaching;
import org.springframework.context.annotation.Bean;
import org.springframework.data.jpa.repository.JpaRepository;
import org.springframework.data.jpa.repository.config.EnableJpaRepositories;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.stereotype.Controller;
import org.springframework.ui.Model;
import org.springframework.validation.annotation.Validated;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.ResponseBody;
import org.springframework.web.bind.annotation.RestController;

/** A service that loads one part at start and another with its first requests, which it sends itself. */
@SpringBootApplication
@EnableCaching
@EnableJpaRepositories(considerNestedRepositories = true)
public class Orders {
    public static void main(String[] args) throws Exception {
        var context = (ServletWebServerApplicationContext) SpringApplication.run(Orders.class, args);
        int port = context.getWebServer().getPort();
        Thread.sleep(3000);
        for (String path : new String[] {"orders?name=a", "report", "page?name=b", "actuator/prometheus", "v3/api-docs"}) {
            get(port, path);
        }
        System.out.println("TRUTH {\"done\": true}");
        Thread.currentThread().join();
    }

    private static void get(int port, String path) throws IOException {
        var connection = (HttpURLConnection) URI.create("http://127.0.0.1:" + port + "/" + path).toURL().openConnection();
        if (connection.getResponseCode() != 200) {
            throw new IOException(path + ": " + connection.getResponseCode());
        }
        connection.getInputStream().readAllBytes();
    }

    @Bean
    SecurityFilterChain open(HttpSecurity http) throws Exception {
        return http.authorizeHttpRequests(requests -> requests.anyRequest().permitAll()).build();
    }

    @Entity(name = "purchase")
    static class Purchase {
        @Id @GeneratedValue Long id;
        @NotBlank String name;
    }

    interface Purchases extends JpaRepository<Purchase, Long> {}

    @RestController
    @Validated
    static class Api {
        private final Purchases purchases;

        Api(Purchases purchases) {
            this.purchases = purchases;
        }

        @GetMapping("/orders")
        @Cacheable("orders")
        public String orders(@RequestParam @NotBlank String name) {
            var purchase = new Purchase();
            purchase.name = StringUtils.capitalize(name);
            purchases.save(purchase);
            return purchase.name + purchases.count();
        }

        @GetMapping("/report")
        public byte[] report() throws IOException {
            try (var workbook = new XSSFWorkbook(); var out = new ByteArrayOutputStream()) {
                workbook.createSheet("orders").createRow(0).createCell(0).setCellValue("a");
                workbook.write(out);
                return out.toByteArray();
            }
        }
    }

    @Controller
    static class Page {
        @GetMapping("/page")
        public String page(@RequestParam String name, Model model) {
            model.addAttribute("name", name);
            return "page";
        }
    }
}
