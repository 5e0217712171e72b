package example.plain;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import com.github.luben.zstd.Zstd;
import com.google.common.collect.ImmutableList;
import com.google.gson.Gson;
import com.google.protobuf.StringValue;
import java.io.StringReader;
import java.security.Security;
import java.sql.DriverManager;
import java.time.Instant;
import java.util.List;
import org.apache.commons.cli.DefaultParser;
import org.apache.commons.cli.Options;
import org.apache.commons.codec.binary.Hex;
import org.apache.commons.collections4.ListUtils;
import org.apache.commons.csv.CSVFormat;
import org.apache.commons.text.StringSubstitutor;
import org.apache.http.impl.client.HttpClients;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.jsoup.Jsoup;
import org.slf4j.LoggerFactory;
import org.xerial.snappy.Snappy;
import org.yaml.snakeyaml.Yaml;

/** Uses most of what stands on its class path, and nothing of what stands before it there. */
public class Plain {
    public static void main(String[] args) throws Exception {
        LoggerFactory.getLogger(Plain.class).warn("starts");
        ObjectMapper mapper = JsonMapper.builder().addModule(new JavaTimeModule()).build();
        mapper.writeValueAsString(List.of(Instant.EPOCH));
        ImmutableList.of(1).reverse();
        new Gson().toJson(List.of(1));
        new DefaultParser().parse(new Options(), args);
        Hex.encodeHexString(new byte[] {1});
        ListUtils.union(List.of(1), List.of(2));
        CSVFormat.DEFAULT.parse(new StringReader("a,b")).getRecords();
        StringSubstitutor.createInterpolator().replace("${base64Encoder:a}");
        HttpClients.createDefault().close();
        Security.addProvider(new BouncyCastleProvider());
        Jsoup.parse("<p>a").text();
        Snappy.compress("a");
        Zstd.compress(new byte[] {1});
        new Yaml().load("a: 1");
        StringValue.of("a").toByteArray();
        try (var connection = DriverManager.getConnection("jdbc:sqlite::memory:")) {
            connection.createStatement().execute("select 1");
        }
        System.out.println("TRUTH {\"done\": true}");
        Thread.currentThread().join();
    }
}
