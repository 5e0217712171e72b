package example.libraries;

/** Loads libraries of many kinds, a kind at a time, as far as that goes without a network. */
public class Libraries {
    interface Part {
        void run() throws Exception;
    }

    public static void main(String[] args) throws Exception {
        Part[] parts = {Data::run, Documents::run, Messages::run, Runtimes::run};
        for (Part part : parts) {
            part.run();
        }
        System.out.println("TRUTH {\"done\": true}");
        Thread.currentThread().join();
    }
}
