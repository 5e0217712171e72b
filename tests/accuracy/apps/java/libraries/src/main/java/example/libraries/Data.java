package example.libraries;

import com.mongodb.client.MongoClients;
import jakarta.persistence.Entity;
import jakarta.persistence.GeneratedValue;
import jakarta.persistence.Id;
import java.sql.DriverManager;
import org.apache.lucene.analysis.standard.StandardAnalyzer;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.TextField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.queryparser.classic.QueryParser;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.store.ByteBuffersDirectory;
import org.hibernate.cfg.Configuration;
import org.jooq.SQLDialect;
import org.jooq.impl.DSL;

final class Data {
    @Entity(name = "note")
    static class Note {
        @Id @GeneratedValue Long id;
        String text = "a";
    }

    static void run() throws Exception {
        // The driver manager loads every driver that the class path offers.
        try (var connection = DriverManager.getConnection("jdbc:h2:mem:a")) {
            DSL.using(connection, SQLDialect.H2).selectOne().fetch();
        }
        var settings = new Configuration().addAnnotatedClass(Note.class)
                .setProperty("hibernate.connection.url", "jdbc:sqlite:/tmp/notes.db")
                .setProperty("hibernate.dialect", "org.hibernate.community.dialect.SQLiteDialect")
                .setProperty("hibernate.hbm2ddl.auto", "create");
        try (var factory = settings.buildSessionFactory(); var session = factory.openSession()) {
            session.beginTransaction();
            session.persist(new Note());
            session.getTransaction().commit();
        }
        lucene();
        MongoClients.create("mongodb://127.0.0.1:1").close();
        new org.apache.ibatis.session.SqlSessionFactoryBuilder().build(new org.apache.ibatis.session.Configuration());
        new redis.clients.jedis.JedisPool("127.0.0.1", 1).close();
    }

    private static void lucene() throws Exception {
        try (var directory = new ByteBuffersDirectory(); var analyzer = new StandardAnalyzer()) {
            try (var writer = new IndexWriter(directory, new IndexWriterConfig(analyzer))) {
                var document = new Document();
                document.add(new TextField("text", "some words", Field.Store.YES));
                writer.addDocument(document);
            }
            try (var reader = DirectoryReader.open(directory)) {
                new IndexSearcher(reader).search(new QueryParser("text", analyzer).parse("words"), 1);
            }
        }
    }
}
