using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Xfrmd.Cli.Serve;

namespace Xfrmd.Cli.Control;

/// <summary>Asks the daemon for the network namespace in which the command runs.</summary>
internal sealed class ControlClient(string socket) : IDisposable
{
    private readonly Socket _connection = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private NetworkStream? _stream;
    private StreamReader? _answers;

    /// <summary>Whether somebody listens at the control socket, whoever may ask.</summary>
    public static bool IsDaemonAt(string socket)
    {
        using Socket probe = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(ControlServer.PathFor(socket)));
            return true;
        }
        catch (SocketException failure)
        {
            return failure.SocketErrorCode == SocketError.AccessDenied;
        }
    }

    /// <summary>Sends the request; throws <see cref="ControlException"/> with a sentence for a person where nobody answers.</summary>
    public void Ask(ControlRequest request)
    {
        string path = ControlServer.PathFor(socket);
        try
        {
            _connection.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException failure)
        {
            throw new ControlException(failure.SocketErrorCode switch
            {
                SocketError.AccessDenied => $"may not open {path}: run this as root or as the daemon's user",
                _ => $"no daemon answers at {socket}: start one with 'xfrmd serve', or name its socket with --socket",
            });
        }
        _stream = new NetworkStream(_connection, ownsSocket: false);
        _stream.Write(JsonSerializer.SerializeToUtf8Bytes(request with { Namespace = NamespaceCensus.NumberOf("/proc/self/ns/net") ?? 0 }, ControlJson.Default.ControlRequest));
        _stream.Write("\n"u8);
        _answers = new StreamReader(_stream, Encoding.UTF8);
    }

    /// <summary>The next line of the answer as it came.</summary>
    public string ReadLine()
    {
        try
        {
            if (_answers!.ReadLine() is { } line)
            {
                ThrowIfRefused(line);
                return line;
            }
        }
        catch (IOException)
        {
            // Reset: the same as its end.
        }
        throw new ControlException("the daemon has ended, or closed the connection; look at its log");
    }

    public T Read<T>(JsonTypeInfo<T> type) where T : class => JsonSerializer.Deserialize(ReadLine(), type)
        ?? throw new ControlException("the daemon's answer cannot be read: is it of another version than this program?");

    /// <summary>An answer that is no text, such as a capture: its first line was told by <see cref="ThrowIfRefused"/> if it is one.</summary>
    public Stream ReadBytes() => _stream!;

    /// <summary>Says that no more is wanted; the daemon then sends what is left and ends.</summary>
    public void Finish()
    {
        try
        {
            _connection.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // It has gone already.
        }
    }

    public static void ThrowIfRefused(string line)
    {
        if (line.StartsWith("{\"error\":", StringComparison.Ordinal))
        {
            throw new ControlException(JsonSerializer.Deserialize(line, ControlJson.Default.ErrorReport)!.Error);
        }
    }

    public void Dispose()
    {
        _answers?.Dispose();
        _stream?.Dispose();
        _connection.Dispose();
    }
}
