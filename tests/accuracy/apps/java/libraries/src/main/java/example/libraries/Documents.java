package example.libraries;

import com.ibm.icu.text.Transliterator;
import com.itextpdf.kernel.pdf.PdfDocument;
import com.itextpdf.kernel.pdf.PdfWriter;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.StringWriter;
import javax.xml.bind.JAXBContext;
import javax.xml.bind.annotation.XmlRootElement;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.pdfbox.pdmodel.PDDocument;
import org.apache.pdfbox.pdmodel.PDPage;
import org.eclipse.jgit.api.Git;

final class Documents {
    @XmlRootElement
    public static class Note {
        public String text = "a";
    }

    static void run() throws Exception {
        try (var document = new PdfDocument(new PdfWriter(new ByteArrayOutputStream()))) {
            document.addNewPage();
        }
        try (var document = new PDDocument()) {
            document.addPage(new PDPage());
            document.save(new ByteArrayOutputStream());
        }
        JAXBContext.newInstance(Note.class).createMarshaller().marshal(new Note(), new StringWriter());
        var schema = new Schema.Parser().parse(
                "{\"type\":\"record\",\"name\":\"n\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"}]}");
        new GenericData.Record(schema).put("a", 1);
        Transliterator.getInstance("Latin-Cyrillic").transliterate("a");
        try (var git = Git.init().setDirectory(new File("/tmp/repository")).call()) {
            git.commit().setMessage("a").setAuthor("a", "a@example").setCommitter("a", "a@example").setSign(false).call();
        }
    }
}
