package example.plugin.broken;

import java.util.concurrent.Callable;
import org.antlr.v4.runtime.CharStreams;
import org.apache.commons.net.util.SubnetUtils;

/** Its static initialiser gets half way: the first library is used, the second one never. */
public class Plugin implements Callable<Object> {
    private static final SubnetUtils NETWORK = new SubnetUtils("10.0.0.0/24");
    private static final String FAILS = fail();
    private static final Object NEVER = CharStreams.fromString("a");

    private static String fail() {
        throw new IllegalStateException(NETWORK.getInfo().getCidrSignature());
    }

    @Override
    public Object call() {
        return FAILS + NEVER;
    }
}
