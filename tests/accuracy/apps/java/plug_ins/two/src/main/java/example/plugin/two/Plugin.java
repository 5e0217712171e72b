package example.plugin.two;

import java.io.StringReader;
import java.util.concurrent.Callable;
import javax.xml.transform.stream.StreamSource;
import net.sf.saxon.s9api.Processor;
import org.jsoup.Jsoup;
import org.mozilla.javascript.Context;

public class Plugin implements Callable<Object> {
    @Override
    public Object call() throws Exception {
        Jsoup.parse("<p>a");
        var context = Context.enter();
        context.evaluateString(context.initStandardObjects(), "1 + 1", "sum", 1, null);
        Context.exit();
        return new Processor(false).newDocumentBuilder().build(new StreamSource(new StringReader("<a/>")));
    }
}
