package example.report;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.common.collect.ImmutableMap;
import org.apache.commons.csv.CSVFormat;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;

@CommandLine.Command(name = "report")
public class Report implements Runnable {
    public static void main(String[] args) throws Exception {
        new CommandLine(new Report()).execute(args);
        Thread.currentThread().join();
    }

    @Override
    public void run() {
        try {
            new ObjectMapper().writeValueAsString(ImmutableMap.of("a", CSVFormat.RFC4180.format("b")));
        } catch (java.io.IOException error) {
            throw new java.io.UncheckedIOException(error);
        }
        LoggerFactory.getLogger(Report.class).warn("done");
        System.out.println("TRUTH {\"done\": true}");
    }
}
