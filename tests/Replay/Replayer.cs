using System.Net;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Xfrmd.Kernel;

namespace Xfrmd.Replay;

/// <summary>
/// Plays one recorded scenario against the front doors in process, in a namespace and on a clock of its own, and says where the answers
/// differ from the recording.
/// </summary>
public sealed class Replayer : IDisposable
{
    private const int AfNetlinkRaw = 3, NetlinkXfrm = 6, PfKeyV2 = 2, SolNetlink = 270, AddMembership = 1, CapAck = 10, ExtAck = 11, Groups = 8;
    private const int PfKeyHeader = 16;
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(1), Step = TimeSpan.FromMilliseconds(5);
    private readonly ManualTime _time = new();
    private readonly XfrmNamespace _space;
    private readonly IProtocolFamily _netlink;
    private readonly IProtocolFamily? _pfKey;
    private readonly Caller _caller;
    private readonly Dictionary<string, (IProtocolSocket Socket, ListBuffer Buffer)> _sockets = [];
    private readonly Dictionary<string, byte[]> _captured = [];
    private readonly ReplayDevices _devices = new();
    private readonly StringBuilder _differences = new();

    private Replayer(JsonElement scenario, IProtocolFamily netlink, IProtocolFamily? pfKey)
    {
        _space = new XfrmNamespace(1, _time);
        _netlink = netlink;
        _pfKey = pfKey;
        _caller = new Caller(scenario.GetProperty("ports").GetProperty("NL").GetInt32(), netAdmin: true, netBroadcast: true);
        JsonElement options = scenario.GetProperty("opts");
        if (options.TryGetProperty("sysctl", out JsonElement sysctls))
        {
            Set(sysctls);
        }
        Open("nl");
        Open("nlx", extended: true);
        if (Option(options, "mc"))
        {
            Open("mc", groups: true);
        }
        if (pfKey is not null)
        {
            Open("pk");
            if (Option(options, "pk2"))
            {
                Open("pk2", register: true);
            }
        }
        Drain(Step);
    }

    /// <summary>Null where all is as recorded, else a description of the differences.</summary>
    /// <param name="scenario">A line of a recording.</param>
    /// <param name="netlink">AF_NETLINK.</param>
    /// <param name="pfKey">AF_KEY; null: what its sockets saw is not compared.</param>
    public static string? Run(JsonElement scenario, IProtocolFamily netlink, IProtocolFamily? pfKey)
    {
        using Replayer replayer = new(scenario, netlink, pfKey);
        int number = 0;
        foreach (JsonElement step in scenario.GetProperty("steps").EnumerateArray())
        {
            replayer.Play(step, number++);
        }
        return replayer._differences.Length == 0 ? null : replayer._differences.ToString();
    }

    public void Dispose()
    {
        foreach ((IProtocolSocket socket, _) in _sockets.Values)
        {
            socket.Dispose();
        }
        _space.Dispose();
    }

    private void Set(JsonElement sysctls)
    {
        foreach (JsonProperty sysctl in sysctls.EnumerateObject())
        {
            switch (sysctl.Name)
            {
                case "net.core.xfrm_acq_expires":
                    _space.Sysctls.AcqExpires = sysctl.Value.GetUInt32();
                    break;
                case "net.core.xfrm_larval_drop":
                    _space.Sysctls.LarvalDrop = sysctl.Value.GetInt32();
                    break;
                case "net.core.xfrm_aevent_etime":
                    _space.Sysctls.AeventEtime = sysctl.Value.GetUInt32();
                    break;
                case "net.core.xfrm_aevent_rseqth":
                    _space.Sysctls.AeventRseqth = sysctl.Value.GetUInt32();
                    break;
                default:
                    throw new NotSupportedException(sysctl.Name);
            }
        }
    }

    private static bool Option(JsonElement options, string name) => !options.TryGetProperty(name, out JsonElement value) || value.GetBoolean();

    private void Play(JsonElement step, int number)
    {
        string? errno = null;
        string sender = step.TryGetProperty("sock", out JsonElement sock) ? sock.GetString()! : "";
        if (step.TryGetProperty("open", out JsonElement open))
        {
            Open(open.GetString()!);
        }
        else if (step.TryGetProperty("close", out JsonElement close))
        {
            if (_sockets.Remove(close.GetString()!, out (IProtocolSocket Socket, ListBuffer) closed))
            {
                closed.Socket.Dispose();
            }
        }
        else if (step.TryGetProperty("cmd", out JsonElement command))
        {
            _devices.Run([.. command.EnumerateArray().Select(a => a.GetString()!)]);
        }
        else if (step.TryGetProperty("udp", out JsonElement udp))
        {
            errno = NameOf(Traffic(udp));
        }
        else if (sender.Length != 0)
        {
            if (!_sockets.ContainsKey(sender))
            {
                return;
            }
            errno = NameOf(Send(sender, Patched(step)));
        }
        TimeSpan wait = step.TryGetProperty("sleep_ms", out JsonElement sleep) ? TimeSpan.FromMilliseconds(sleep.GetInt32()) : Step;
        List<Message> arrived = Drain(wait);
        string? expected = step.TryGetProperty("send_errno", out JsonElement recordedErrno) && recordedErrno.ValueKind == JsonValueKind.String ? recordedErrno.GetString() : null;
        if (errno != expected)
        {
            Differ(number, step, $"send: {errno ?? "0"}, recorded {expected ?? "0"}");
        }
        Compare(number, step, step.GetProperty("out"), arrived);
        Capture(step, arrived);
        if (step.TryGetProperty("ext_hex", out JsonElement extended))
        {
            CompareExtended(number, step, sender, extended);
        }
    }

    // After an error on nl the recorder has sent the request once more on nlx.
    private void CompareExtended(int number, JsonElement step, string sender, JsonElement extended)
    {
        Send("nlx", Patched(step));
        List<Message> arrived = Drain(Step);
        List<Message> errors = [.. arrived.Where(m => m.Socket == "nlx" && m.Bytes.Length >= 20 && m.Bytes[4] == 2)];
        // The recorder keeps the last one.
        Message expected = new("nlx", Convert.FromHexString(extended.GetString()!), [(12, 4)]);
        if (errors.Count == 0 || !errors[^1].IsLike(expected))
        {
            Differ(number, step, $"{sender}, extended: {(errors.Count == 0 ? "nothing" : Describe(errors[^1]))}\n      recorded {Describe(expected)}");
        }
        if (step.TryGetProperty("ext_other", out JsonElement others))
        {
            Compare(number, step, others, [.. arrived.Where(m => !errors.Contains(m))]);
        }
    }

    private void Compare(int number, JsonElement step, JsonElement recorded, List<Message> arrived)
    {
        ILookup<string, Message> expected = recorded.EnumerateArray().Select(Message.From).Where(m => _pfKey is not null || !m.Socket.StartsWith("pk", StringComparison.Ordinal)).ToLookup(m => m.Socket);
        ILookup<string, Message> actual = arrived.ToLookup(m => m.Socket);
        foreach (string socket in expected.Select(g => g.Key).Union(actual.Select(g => g.Key)).Order(StringComparer.Ordinal))
        {
            Message[] theirs = [.. expected[socket]], ours = [.. actual[socket]];
            if (theirs.Length != ours.Length || theirs.Zip(ours).Any(pair => !pair.Second.IsLike(pair.First)))
            {
                Differ(number, step, $"{socket}: {string.Join("\n             ", ours.Select(Describe))}\n   recorded: {string.Join("\n             ", theirs.Select(Describe))}");
            }
        }
    }

    private static string Describe(Message message)
    {
        if (!message.Socket.StartsWith("nl", StringComparison.Ordinal) && message.Socket != "mc")
        {
            return Convert.ToHexStringLower(message.Bytes);
        }
        string text = $"type {message.Bytes[4]} len {message.Bytes.Length} flags {BitConverter.ToUInt16(message.Bytes, 6):x}";
        if (message.Bytes[4] is 2 or 3)
        {
            text += $" error {BitConverter.ToInt32(message.Bytes, 16)}";
            int at = message.Bytes.AsSpan().LastIndexOf("\x01\x00"u8);
            text += at > 20 ? " " + Encoding.ASCII.GetString(message.Bytes.AsSpan(at)).Replace('\0', ' ') : "";
        }
        return text + " " + Convert.ToHexStringLower(message.Bytes);
    }

    private void Differ(int number, JsonElement step, string difference) =>
        _differences.Append(System.Globalization.CultureInfo.InvariantCulture, $"step {number} {(step.TryGetProperty("what", out JsonElement what) ? what.GetString() : "")}\n   {difference}\n");

    private void Capture(JsonElement step, List<Message> arrived)
    {
        if (!step.TryGetProperty("capture", out JsonElement captures))
        {
            return;
        }
        foreach (JsonElement capture in captures.EnumerateArray())
        {
            string from = capture.GetProperty("from").GetString()!;
            int skip = capture.TryGetProperty("n", out JsonElement n) ? n.GetInt32() : 0;
            // "type" only keeps the recorder from taking an error for the answer.
            if (arrived.Where(m => m.Socket == from && !(from.StartsWith("nl", StringComparison.Ordinal) && m.Bytes[4] == 2)).Skip(skip).FirstOrDefault() is { } message)
            {
                _captured[capture.GetProperty("var").GetString()!] = message.Bytes.AsSpan(capture.GetProperty("off").GetInt32(), capture.GetProperty("len").GetInt32()).ToArray();
            }
        }
    }

    private byte[] Patched(JsonElement step)
    {
        byte[] request = Convert.FromHexString(step.GetProperty("hex").GetString()!);
        if (step.TryGetProperty("patch", out JsonElement patches))
        {
            foreach (JsonElement patch in patches.EnumerateArray())
            {
                if (_captured.TryGetValue(patch[2].GetString()!, out byte[]? value))
                {
                    value.AsSpan(0, patch[1].GetInt32()).CopyTo(request.AsSpan(patch[0].GetInt32()));
                }
            }
        }
        return request;
    }

    private Errno Traffic(JsonElement udp)
    {
        IPAddress destination = IPAddress.Parse(udp.GetProperty("dst").GetString()!);
        Flow flow = _devices.FlowOf(IPAddress.Parse(udp.GetProperty("src").GetString()!), udp.GetProperty("sport").GetUInt16(), destination,
            udp.GetProperty("dport").GetUInt16(), udp.TryGetProperty("mark", out JsonElement mark) ? mark.GetUInt32() : 0);
        int count = udp.TryGetProperty("n", out JsonElement n) ? n.GetInt32() : 1, length = udp.TryGetProperty("len", out JsonElement len) ? len.GetInt32() : 8;
        Errno last = Errno.None;
        for (int i = 0; i < count; i++)
        {
            Errno errno = ReplayTraffic.Send(_space, flow, length);
            last = errno == Errno.None ? last : errno;
        }
        return last;
    }

    private Errno Send(string socket, byte[] request) => _sockets[socket].Socket.Send(request, [], _caller);

    private List<Message> Drain(TimeSpan wait)
    {
        List<Message> arrived = [];
        for (TimeSpan passed = TimeSpan.Zero; ; passed += Tick)
        {
            _space.RunPending();
            foreach ((string name, (IProtocolSocket socket, ListBuffer buffer)) in _sockets)
            {
                while (buffer.Receive(socket) is { } datagram)
                {
                    arrived.AddRange(name.StartsWith("pk", StringComparison.Ordinal) ? [new Message(name, datagram, [])] : Split(name, datagram));
                }
            }
            if (passed >= wait)
            {
                return arrived;
            }
            _time.Advance(Tick);
        }
    }

    private static IEnumerable<Message> Split(string socket, byte[] datagram)
    {
        for (int at = 0; datagram.Length - at >= 16;)
        {
            int length = BitConverter.ToInt32(datagram, at);
            yield return new Message(socket, datagram[at..(at + length)], []);
            at += (length + 3) & ~3;
        }
    }

    private void Open(string name, bool extended = false, bool groups = false, bool register = false)
    {
        bool pfKey = name.StartsWith("pk", StringComparison.Ordinal);
        if (pfKey && _pfKey is null)
        {
            return;
        }
        ListBuffer buffer = new();
        IProtocolFamily family = pfKey ? _pfKey! : _netlink;
        Errno errno = family.Create(AfNetlinkRaw, pfKey ? PfKeyV2 : NetlinkXfrm, _space, buffer, _caller, out IProtocolSocket? socket);
        if (errno != Errno.None)
        {
            throw new InvalidOperationException($"socket {name}: {errno}");
        }
        _sockets[name] = (socket!, buffer);
        if (pfKey)
        {
            if (register)
            {
                const byte ah = 2, esp = 3, ipcomp = 9;
                foreach (byte type in new[] { esp, ah, ipcomp })
                {
                    socket!.Send(Register(type), [], _caller);
                }
            }
            return;
        }
        socket!.Bind([16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], _caller);
        if (extended)
        {
            Set(socket, ExtAck, 1);
            Set(socket, CapAck, 1);
        }
        for (int group = 1; groups && group <= Groups; group++)
        {
            Set(socket, AddMembership, group);
        }
    }

    private void Set(IProtocolSocket socket, int option, int value) =>
        socket.SetOption(SolNetlink, option, MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in value)), _caller);

    private static byte[] Register(byte type)
    {
        const byte version = 2, register = 7;
        byte[] message = new byte[PfKeyHeader];
        (message[0], message[1], message[3], message[4]) = (version, register, type, PfKeyHeader / 8);
        BitConverter.TryWriteBytes(message.AsSpan(8), 0xfff0);
        BitConverter.TryWriteBytes(message.AsSpan(12), 1);
        return message;
    }

    private static string? NameOf(Errno errno) => errno == Errno.None ? null : errno.ToString();
}
