package example.gateway;

import io.netty.channel.epoll.Epoll;
import io.netty.handler.ssl.OpenSsl;
import io.vertx.circuitbreaker.CircuitBreaker;
import io.vertx.config.ConfigRetriever;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.json.JsonObject;
import io.vertx.ext.auth.jwt.JWTAuth;
import io.vertx.ext.auth.jwt.JWTAuthOptions;
import io.vertx.ext.auth.PubSecKeyOptions;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.client.WebClient;
import io.vertx.ext.web.handler.BodyHandler;
import io.vertx.ext.web.templ.handlebars.HandlebarsTemplateEngine;
import io.vertx.micrometer.MicrometerMetricsOptions;
import io.vertx.micrometer.VertxPrometheusOptions;
import java.util.Map;

/** The PostgreSQL client and RxJava are there and not used. */
public class Gateway {
    public static void main(String[] args) throws Exception {
        var metrics = new MicrometerMetricsOptions()
                .setPrometheusOptions(new VertxPrometheusOptions().setEnabled(true)).setEnabled(true);
        var vertx = Vertx.vertx(new VertxOptions().setPreferNativeTransport(true).setMetricsOptions(metrics));
        if (!vertx.isNativeTransportEnabled() || !Epoll.isAvailable() || !OpenSsl.isAvailable()) {
            throw new IllegalStateException("no native transport", Epoll.unavailabilityCause());
        }
        var router = Router.router(vertx);
        router.route().handler(BodyHandler.create());
        router.get("/").handler(request -> request.json(new JsonObject().put("a", 1)));
        var key = new PubSecKeyOptions().setAlgorithm("HS256").setBuffer("secret");
        JWTAuth.create(vertx, new JWTAuthOptions().addPubSecKey(key)).generateToken(new JsonObject());
        CircuitBreaker.create("breaker", vertx).<Integer>execute(promise -> promise.complete(1));
        ConfigRetriever.create(vertx).getConfig();
        HandlebarsTemplateEngine.create(vertx);
        vertx.createHttpServer().requestHandler(router).listen(0, "127.0.0.1")
                .compose(server -> WebClient.create(vertx).get(server.actualPort(), "127.0.0.1", "/").send())
                .compose(answer -> vertx.timer(2000))
                .onSuccess(done -> System.out.println("TRUTH {\"done\": true}"))
                .onFailure(Throwable::printStackTrace);
        Thread.currentThread().join();
    }
}
