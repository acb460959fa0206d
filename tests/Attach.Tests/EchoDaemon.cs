using Microsoft.Extensions.Logging;

[assembly: System.Runtime.Versioning.SupportedOSPlatform("linux")]

namespace Xfrmd.Attach.Tests;

/// <summary>A daemon with <see cref="EchoFamily"/> for both families: in this process, or as the process that a test kills.</summary>
public sealed class EchoDaemon : IDisposable
{
    private readonly AttachServer _server;
    private readonly TestFolder? _folder;
    private readonly ILoggerFactory _logging = LoggerFactory.Create(b => b.AddConsole(c => c.LogToStandardErrorThreshold = LogLevel.Trace));

    public EchoDaemon(string? path = null)
    {
        _folder = path is null ? new TestFolder() : null;
        Path = path ?? _folder!["control.sock"];
        EchoFamily netlink = new(Journal, key: false), key = new(Journal, key: true);
        ProtocolFamilies families = new ProtocolFamilies()
            .Add(ProtocolFamilies.Netlink, ProtocolFamilies.NetlinkXfrm, netlink)
            .Add(ProtocolFamilies.Key, null, key);
        _server = AttachServer.Start(Path, families, Hooks, Namespaces, _logging.CreateLogger("attach"));
    }

    public string Path { get; }

    /// <summary>What the sockets were told, line by line.</summary>
    public Journal Journal { get; } = new();

    public RecordingHooks Hooks { get; } = new();

    public CountingNamespaces Namespaces { get; } = new();

    public int OpenSockets => _server.OpenSockets;

    public static int Main(string[] arguments)
    {
        using EchoDaemon daemon = new(arguments[0]);
        Console.WriteLine("ready");
        new ManualResetEvent(false).WaitOne();
        return 0;
    }

    public void Dispose()
    {
        _server.Dispose();
        _logging.Dispose();
        _folder?.Dispose();
    }
}
