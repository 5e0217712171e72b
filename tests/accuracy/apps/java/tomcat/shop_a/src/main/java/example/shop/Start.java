package example.shop;

import com.fasterxml.jackson.databind.ObjectMapper;
import freemarker.template.Configuration;
import freemarker.template.Template;
import java.io.IOException;
import java.io.StringWriter;
import java.util.Map;
import javax.servlet.http.HttpServlet;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;
import org.apache.commons.fileupload.servlet.ServletFileUpload;
import org.apache.commons.lang3.StringUtils;
import org.apache.logging.log4j.LogManager;
import org.springframework.web.context.support.StaticWebApplicationContext;

/** Started with its web application; a page and another servlet are asked for later. */
public class Start extends HttpServlet {
    @Override
    public void init() {
        LogManager.getLogger(Start.class).error("starts");
        var context = new StaticWebApplicationContext();
        context.setServletContext(getServletContext());
        context.refresh();
    }

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
        try {
            var template = new Template("t", "${a}", new Configuration(Configuration.VERSION_2_3_29));
            var out = new StringWriter();
            template.process(Map.of("a", StringUtils.capitalize("a")), out);
            response.getWriter().print(new ObjectMapper().writeValueAsString(Map.of(
                    "out", out.toString(), "multipart", ServletFileUpload.isMultipartContent(request))));
        } catch (freemarker.template.TemplateException error) {
            throw new IOException(error);
        }
    }
}
