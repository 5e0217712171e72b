package example.libraries;

import com.sun.net.httpserver.HttpServer;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.services.HealthStatusManager;
import io.jsonwebtoken.Jwts;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Map;
import org.apache.camel.impl.DefaultCamelContext;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.RetryOneTime;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.sshd.client.SshClient;
import retrofit2.Call;
import retrofit2.Retrofit;
import retrofit2.converter.moshi.MoshiConverterFactory;
import retrofit2.http.GET;

final class Messages {
    interface Remote {
        @GET("/")
        Call<List<Integer>> all();
    }

    static void run() throws Exception {
        grpc();
        retrofit();
        Map<String, Object> settings = Map.of("bootstrap.servers", "127.0.0.1:1");
        new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer()).close();
        Jwts.SIG.HS256.key().build();
        SshClient.setUpDefaultClient();
        CuratorFrameworkFactory.newClient("127.0.0.1:1", new RetryOneTime(1));
        new org.apache.cxf.jaxrs.JAXRSServerFactoryBean();
        var camel = new DefaultCamelContext();
        camel.start();
    }

    private static void grpc() throws Exception {
        var server = NettyServerBuilder.forPort(0)
                .addService(new HealthStatusManager().getHealthService()).build().start();
        var channel = NettyChannelBuilder.forAddress("127.0.0.1", server.getPort()).usePlaintext().build();
        HealthGrpc.newBlockingStub(channel).check(HealthCheckRequest.getDefaultInstance());
        channel.shutdownNow();
    }

    private static void retrofit() throws Exception {
        var server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.createContext("/", exchange -> {
            exchange.sendResponseHeaders(200, 3);
            exchange.getResponseBody().write("[1]".getBytes());
            exchange.close();
        });
        server.start();
        var retrofit = new Retrofit.Builder().baseUrl("http://127.0.0.1:" + server.getAddress().getPort())
                .addConverterFactory(MoshiConverterFactory.create()).build();
        retrofit.create(Remote.class).all().execute().body();
        server.stop(0);
    }
}
