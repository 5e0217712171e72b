package example.plugin.one;

import java.util.Properties;
import java.util.concurrent.Callable;
import org.jsoup.Jsoup;
import org.quartz.impl.StdSchedulerFactory;

public class Plugin implements Callable<Object> {
    @Override
    public Object call() throws Exception {
        Jsoup.parse("<p>a");
        var settings = new Properties();
        settings.put("org.quartz.threadPool.threadCount", "1");
        settings.put("org.quartz.scheduler.skipUpdateCheck", "true");
        var scheduler = new StdSchedulerFactory(settings).getScheduler();
        scheduler.start();
        return scheduler;
    }
}
