package example.host;

import groovy.lang.GroovyShell;
import java.io.File;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.concurrent.Callable;
import org.slf4j.LoggerFactory;

/** Every folder below the first argument is a plug-in with a class loader of its own. */
public class Host {
    private static final List<Object> kept = new ArrayList<>();

    public static void main(String[] args) throws Exception {
        for (File folder : new File(args[0]).listFiles()) {
            List<URL> jars = new ArrayList<>();
            for (File jar : folder.listFiles()) {
                jars.add(jar.toURI().toURL());
            }
            var loader = new URLClassLoader(jars.toArray(URL[]::new), Host.class.getClassLoader());
            kept.add(loader);
            try {
                for (Callable<?> plugin : ServiceLoader.load(Callable.class, loader)) {
                    kept.add(plugin.call());
                }
            } catch (ServiceConfigurationError error) {
                LoggerFactory.getLogger(Host.class).warn("{} is broken", folder, error);
            }
        }
        new GroovyShell().evaluate("[1, 2].collect { it * 2 }");
        System.out.println("TRUTH {\"done\": true}");
        Thread.currentThread().join();
    }
}
