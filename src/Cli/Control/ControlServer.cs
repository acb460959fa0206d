using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.Logging;
using Xfrmd.Kernel;

namespace Xfrmd.Cli.Control;

/// <summary>
/// Answers the commands of people: one connection, one request, lines of JSON. The socket has mode 0600 and its peer must be root or the
/// daemon's own user.
/// </summary>
internal sealed class ControlServer : IDisposable
{
    private const int MaxRequest = 64 * 1024;
    private static readonly TimeSpan CaptureInterval = TimeSpan.FromMilliseconds(20);
    private readonly string _path;
    private readonly Socket _listener;
    private readonly INamespaceDirectory _namespaces;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();

    private ControlServer(string path, Socket listener, INamespaceDirectory namespaces, ILogger logger) =>
        (_path, _listener, _namespaces, _logger) = (path, listener, namespaces, logger);

    /// <summary>The control socket that stands beside the socket of <c>xfrmd run</c>.</summary>
    public static string PathFor(string socket) => socket + ".control";

    public static ControlServer Start(string socket, INamespaceDirectory namespaces, ILogger logger)
    {
        string path = PathFor(socket);
        File.Delete(path);
        Socket listener = new(System.Net.Sockets.AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        listener.Listen(16);
        ControlServer server = new(path, listener, namespaces, logger);
        _ = server.AcceptAsync();
        return server;
    }

    public void Dispose()
    {
        _stop.Cancel();
        _listener.Dispose();
        File.Delete(_path);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                Socket peer = await _listener.AcceptAsync(_stop.Token).ConfigureAwait(false);
                _ = ServeAsync(peer);
            }
            catch (Exception stopped) when (stopped is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task ServeAsync(Socket peer)
    {
        using NetworkStream stream = new(peer, ownsSocket: true);
        try
        {
            // Read in any case: a socket that is closed with bytes unread takes the answer back from the peer (ECONNRESET).
            using CancellationTokenSource patience = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
            patience.CancelAfter(TimeSpan.FromSeconds(10));
            string? line = await ReadLineAsync(stream, patience.Token).ConfigureAwait(false);
            if (!PeerCredentials.MayControl(peer, out int processId))
            {
                await WriteAsync(stream, new ErrorReport("only root and the daemon's own user may ask; run this with sudo"), ControlJson.Default.ErrorReport).ConfigureAwait(false);
                return;
            }
            if (line is null
                || JsonSerializer.Deserialize(line, ControlJson.Default.ControlRequest) is not { } request)
            {
                await WriteAsync(stream, new ErrorReport("that was no request"), ControlJson.Default.ErrorReport).ConfigureAwait(false);
                return;
            }
            await AnswerAsync(stream, request, processId).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is IOException or SocketException or JsonException or OperationCanceledException)
        {
            _logger.ControlFailed(failure.Message);
        }
    }

    private async Task AnswerAsync(NetworkStream stream, ControlRequest request, int processId)
    {
        if (_namespaces.Find(request.Namespace, processId) is not { } view)
        {
            await WriteAsync(stream, new ErrorReport("the daemon has served no program of this network namespace yet and cannot look into it: start one with 'xfrmd run -- PROGRAM'"), ControlJson.Default.ErrorReport).ConfigureAwait(false);
            return;
        }
        XfrmNamespace space = view.Space;
        switch (request.Command)
        {
            case "status":
                await WriteAsync(stream, Status(view), ControlJson.Default.StatusReport).ConfigureAwait(false);
                break;
            case "stats":
                await WriteAsync(stream, CounterGuide.Report(space.Statistics, onlyCounted: false), ControlJson.Default.CounterReportArray).ConfigureAwait(false);
                break;
            case "state":
                await WriteAsync(stream, Sas(space, request.ShowKeys), ControlJson.Default.SaReportArray).ConfigureAwait(false);
                break;
            case "policy":
                await WriteAsync(stream, Policies(space), ControlJson.Default.PolicyReportArray).ConfigureAwait(false);
                break;
            case "explain" when request.Explain is { } query && TryFlow(query, out Flow flow):
                await WriteAsync(stream, Explainer.Explain(view, query, flow), ControlJson.Default.ExplainReport).ConfigureAwait(false);
                break;
            case "drops":
                await FollowDropsAsync(stream, space).ConfigureAwait(false);
                break;
            case "capture":
                await CaptureAsync(stream, view, request).ConfigureAwait(false);
                break;
            case "fault":
                await FaultAsync(stream, space, request).ConfigureAwait(false);
                break;
            case "flush":
                await WriteAsync(stream, Flush(space), ControlJson.Default.FlushReport).ConfigureAwait(false);
                break;
            default:
                await WriteAsync(stream, new ErrorReport($"the daemon does not know '{request.Command}': is it of another version than this program?"), ControlJson.Default.ErrorReport).ConfigureAwait(false);
                break;
        }
    }

    private static StatusReport Status(INamespaceView view)
    {
        XfrmNamespace space = view.Space;
        return new StatusReport
        {
            Version = typeof(ControlServer).Assembly.GetName().Version?.ToString(3) ?? "",
            Namespace = space.Inode,
            ProcessId = Environment.ProcessId,
            Devices = view.Devices,
            RawEsp = view.RawEspPaths,
            Policies = new PolicyCounts(space.Spd.Count(PolicyDirection.In), space.Spd.Count(PolicyDirection.Out), space.Spd.Count(PolicyDirection.Fwd)),
            Sas = Sas(space, showKeys: false),
            Out = [.. Policies(space).Where(p => p.Direction == "out")],
            Drops = CounterGuide.Report(space.Statistics, onlyCounted: true),
        };
    }

    private static SaReport[] Sas(XfrmNamespace space, bool showKeys)
    {
        lock (space.Gate)
        {
            ulong now = space.WallSeconds;
            return [.. space.Sad.All.Select(sa => Describe.Report(sa, now, showKeys))];
        }
    }

    private static PolicyReport[] Policies(XfrmNamespace space)
    {
        lock (space.Gate)
        {
            return [.. Enum.GetValues<PolicyDirection>().SelectMany(d => space.Spd.Ordered(d)).Select(Describe.Report)];
        }
    }

    private static async Task FaultAsync(NetworkStream stream, XfrmNamespace space, ControlRequest request)
    {
        List<FaultRule> wanted = [];
        foreach (string text in request.Faults ?? [])
        {
            if (FaultSpec.TryParse(text, out string mistake) is not { } rule)
            {
                await WriteAsync(stream, new ErrorReport(mistake), ControlJson.Default.ErrorReport).ConfigureAwait(false);
                return;
            }
            wanted.Add(rule);
        }
        if (request.Clear)
        {
            space.Faults.Clear();
        }
        wanted.ForEach(space.Faults.Add);
        FaultReport[] report = [.. space.Faults.Rules.Select(static r => new FaultReport(r.Text, r.Seen, r.Struck))];
        await WriteAsync(stream, report, ControlJson.Default.FaultReportArray).ConfigureAwait(false);
    }

    private static FlushReport Flush(XfrmNamespace space)
    {
        lock (space.Gate)
        {
            int policies = 0;
            foreach (PolicyType type in Enum.GetValues<PolicyType>())
            {
                int count = space.Spd.Flush(type);
                policies += count;
                if (count > 0)
                {
                    space.KeyManagers.NotifyPolicy(new PolicyEvent(PolicyEventKind.Flush, null) { Type = type });
                }
            }
            int sas = space.Sad.Flush(IpProtocol.Any);
            if (sas > 0)
            {
                space.KeyManagers.Notify(new SaEvent(SaEventKind.Flush, null));
            }
            return new FlushReport(sas, policies);
        }
    }

    // Once a second: how many of each kind, and of which flow.
    private async Task FollowDropsAsync(NetworkStream stream, XfrmNamespace space)
    {
        using DropFollower follower = new(space);
        const int Parts = 10;
        using PeriodicTimer tick = new(TimeSpan.FromSeconds(1.0 / Parts));
        for (int part = 1; await tick.WaitForNextTickAsync(_stop.Token).ConfigureAwait(false); part++)
        {
            if (part % Parts != 0)
            {
                follower.Collect();
                continue;
            }
            // An empty line keeps a follower that has gone from being served for ever.
            await WriteAsync(stream, follower.Take(), ControlJson.Default.DropReportArray).ConfigureAwait(false);
        }
    }

    // Until the other side says that it has enough, or goes.
    private async Task CaptureAsync(NetworkStream stream, INamespaceView view, ControlRequest request)
    {
        using CaptureSession session = new(view, request.Capture ?? new CaptureQuery(), request.ShowKeys);
        Task<int> enough = stream.ReadAsync(new byte[1], _stop.Token).AsTask();
        using PeriodicTimer tick = new(CaptureInterval);
        bool goesOn = true;
        while (goesOn)
        {
            goesOn = !enough.IsCompleted;
            session.Collect(all: !goesOn);
            goesOn &= !session.IsComplete;
            if (!goesOn)
            {
                session.WriteStatistics();
            }
            await stream.WriteAsync(session.Writer.Written).ConfigureAwait(false);
            session.Writer.Clear();
            if (goesOn)
            {
                await Task.WhenAny(enough, tick.WaitForNextTickAsync().AsTask()).ConfigureAwait(false);
            }
        }
    }

    private static bool TryFlow(ExplainQuery query, out Flow flow)
    {
        flow = default;
        if (!System.Net.IPAddress.TryParse(query.Source, out System.Net.IPAddress? source)
            || !System.Net.IPAddress.TryParse(query.Destination, out System.Net.IPAddress? destination)
            || source.AddressFamily != destination.AddressFamily)
        {
            return false;
        }
        flow = new Flow
        {
            Saddr = XfrmAddress.From(source),
            Daddr = XfrmAddress.From(destination),
            Family = source.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? Kernel.AddressFamily.Inet6 : Kernel.AddressFamily.Inet,
            Proto = query.Protocol,
            Sport = query.SourcePort,
            Dport = query.DestinationPort,
            Mark = query.Mark,
            IfId = query.IfId,
        };
        return true;
    }

    private static async Task<string?> ReadLineAsync(NetworkStream stream, CancellationToken stop)
    {
        byte[] buffer = new byte[MaxRequest];
        int length = 0;
        while (length < buffer.Length)
        {
            int read = await stream.ReadAsync(buffer.AsMemory(length), stop).ConfigureAwait(false);
            if (read == 0)
            {
                return null;
            }
            int end = buffer.AsSpan(length, read).IndexOf((byte)'\n');
            if (end >= 0)
            {
                return System.Text.Encoding.UTF8.GetString(buffer, 0, length + end);
            }
            length += read;
        }
        return null;
    }

    private static async Task WriteAsync<T>(NetworkStream stream, T value, JsonTypeInfo<T> type)
    {
        await stream.WriteAsync(JsonSerializer.SerializeToUtf8Bytes(value, type)).ConfigureAwait(false);
        await stream.WriteAsync("\n"u8.ToArray()).ConfigureAwait(false);
    }
}
