package example.batch;

import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import com.google.inject.AbstractModule;
import com.google.inject.Guice;
import java.util.List;
import net.bytebuddy.ByteBuddy;
import org.apache.commons.math3.linear.MatrixUtils;
import org.eclipse.jetty.server.Server;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;

/** With an argument it ends when it has loaded all: that run writes the archive. Janino is never used. */
public class Batch {
    public static void main(String[] args) throws Exception {
        LoggerFactory.getLogger(Batch.class).error("starts");
        new YAMLMapper().writeValueAsString(List.of(1));
        MatrixUtils.createRealIdentityMatrix(3).getTrace();
        Flux.range(1, 3).map(number -> number + 1).blockLast();
        Guice.createInjector(new AbstractModule() {}).getInstance(Batch.class);
        new ByteBuddy().subclass(Object.class).make();
        new Server(0).start();
        System.out.println("TRUTH {\"done\": true}");
        if (args.length > 0) {
            System.exit(0);
        }
        Thread.currentThread().join();
    }
}
