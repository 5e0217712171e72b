package example.libraries;

import com.sun.jna.Native;
import javassist.ClassPool;
import org.apache.pekko.actor.typed.ActorSystem;
import org.apache.pekko.actor.typed.javadsl.Behaviors;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.cert.X509v3CertificateBuilder;

final class Runtimes {
    static void run() throws Exception {
        ActorSystem.create(Behaviors.<String>empty(), "system");
        if (Native.POINTER_SIZE == 0) {
            throw new IllegalStateException();
        }
        ClassPool.getDefault().makeClass("example.Made").toBytecode();
        new X509v3CertificateBuilder(new X500Name("CN=a"), java.math.BigInteger.ONE, new java.util.Date(),
                new java.util.Date(), new X500Name("CN=a"),
                org.bouncycastle.asn1.x509.SubjectPublicKeyInfo.getInstance(
                        java.security.KeyPairGenerator.getInstance("RSA").generateKeyPair().getPublic().getEncoded()));
    }
}
