import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;

/** A thread per connection, blocking reads. */
public class Blocking {
    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(arguments[0]);
        try (ServerSocket server = new ServerSocket(port, 64, InetAddress.getByName("127.0.0.1"))) {
            while (true) {
                Socket socket = server.accept();
                new Thread(() -> {
                    try (socket) {
                        byte[] buffer = new byte[4096];
                        while (socket.getInputStream().read(buffer) >= 0) { }
                    } catch (Exception gone) {
                        // the client left
                    }
                }).start();
            }
        }
    }
}
