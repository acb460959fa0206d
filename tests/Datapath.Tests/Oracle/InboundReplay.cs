using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Xfrmd.Kernel;
using Xfrmd.Netlink;
using Xfrmd.Replay;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Tests.Oracle;

/// <summary>
/// Plays one scenario of inbound.jsonl: configures through NETLINK_XFRM, lets the recorded packets in, and says where delivery, counters,
/// events or dumps differ from what the kernel did.
/// </summary>
internal sealed class InboundReplay : IDisposable
{
    private const int SockRaw = 3, NetlinkXfrm = 6, AfNetlink = 16, AllGroups = 0xff;
    private const ushort EncapsulationPort = 4500;
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(1);
    private readonly ManualTime _time = new();
    private readonly XfrmNamespace _space;
    private readonly Inbound _inbound;
    private readonly Caller _caller;
    private readonly Dictionary<string, (IProtocolSocket Socket, ListBuffer Buffer)> _sockets = [];
    private readonly StringBuilder _differences = new();

    private InboundReplay(JsonElement scenario)
    {
        _space = new XfrmNamespace(1, _time);
        _inbound = new Inbound(_space, new TestHost());
        _caller = new Caller(scenario.GetProperty("ports").GetProperty("NL").GetInt32(), netAdmin: true);
        NetlinkXfrmFamily family = new();
        Open(family, "nl", 0);
        Open(family, "mc", AllGroups);
    }

    /// <summary>Null where all is as recorded.</summary>
    public static string? Run(JsonElement scenario)
    {
        using InboundReplay replay = new(scenario);
        foreach (JsonElement step in scenario.GetProperty("steps").EnumerateArray())
        {
            replay.Play(step);
        }
        return replay._differences.Length == 0 ? null : replay._differences.ToString();
    }

    public void Dispose()
    {
        foreach ((IProtocolSocket socket, _) in _sockets.Values)
        {
            socket.Dispose();
        }
        _inbound.Dispose();
        _space.Dispose();
    }

    private void Open(NetlinkXfrmFamily family, string name, int groups)
    {
        ListBuffer buffer = new();
        Assert.Equal(Errno.None, family.Create(SockRaw, NetlinkXfrm, _space, buffer, _caller, out IProtocolSocket? socket));
        Span<byte> address = stackalloc byte[12];
        address.Clear();
        MemoryMarshal.Write(address, (ushort)AfNetlink);
        MemoryMarshal.Write(address[8..], groups);
        Assert.Equal(Errno.None, socket!.Bind(address, _caller));
        _sockets.Add(name, (socket, buffer));
    }

    private void Play(JsonElement step)
    {
        string what = step.TryGetProperty("what", out JsonElement name) ? name.GetString()! : "sleep";
        if (step.TryGetProperty("inject", out JsonElement packet))
        {
            long[] before = Counters();
            Arrivals arrivals = Receive(Convert.FromHexString(packet.GetString()!), hasSocket: step.TryGetProperty("to_ike_socket", out JsonElement toSocket));
            Compare(what, "delivered", Recorded(step.GetProperty("delivered")), arrivals.Delivered);
            Compare(what, "to the socket", toSocket.ValueKind == JsonValueKind.Undefined ? "" : Recorded(toSocket), arrivals.ToSocket);
            Compare(what, "counters", string.Join(' ', step.GetProperty("xfrm_stat").EnumerateObject().Select(c => $"{c.Name}+{c.Value.GetInt32()}")), Deltas(before));
        }
        else if (step.TryGetProperty("sleep_ms", out JsonElement sleep))
        {
            for (int i = 0; i < sleep.GetInt32(); i++)
            {
                _time.Advance(Tick);
                _space.RunPending();
            }
        }
        else if (step.GetProperty("sock").GetString() == "nl")
        {
            _sockets["nl"].Socket.Send(Convert.FromHexString(step.GetProperty("hex").GetString()!), [], _caller);
        }
        _space.RunPending();
        CompareMessages(what, [.. step.GetProperty("out").EnumerateArray().Where(m => _sockets.ContainsKey(m.GetProperty("sock").GetString()!)).Select(Message.From)]);
    }

    /// <summary>What the host would do with a packet from the wire.</summary>
    private Arrivals Receive(byte[] bytes, bool hasSocket)
    {
        PacketSlot slot = Packets.Slot(bytes);
        Assert.True(Ipv4View.TryParse(slot.Span, out Ipv4View ip));
        if (ip.Protocol == NextHeader.Udp && UdpView.TryParse(ip.Payload, out UdpView udp) && udp.Dport == EncapsulationPort)
        {
            if (!hasSocket || UdpEncapsulation.IsKeepalive(udp.Payload))
            {
                return new Arrivals("", "");
            }
            if (!UdpEncapsulation.IsEsp(udp.Payload, AddressFamily.Inet))
            {
                return new Arrivals("", Describe(ip, udp, withTos: false));
            }
            // As an encapsulating socket gives it: the payload alone, and addresses beside it.
            Arrival fromSocket = Arrival.Udp(AddressFamily.Inet, new XfrmAddress(ip.Saddr), new XfrmAddress(ip.Daddr), udp.Sport, ip.Tos);
            slot.StartAt(slot.Offset + ip.HeaderLength + UdpView.HeaderLength);
            return new Arrivals(_inbound.Process(ref slot, fromSocket, _space.WallSeconds).Deliver ? Describe(slot.Span) : "", "");
        }
        bool isPlain = ip.Protocol is not (NextHeader.Esp or NextHeader.Ah or NextHeader.Comp);
        bool passes = isPlain
            ? _inbound.Allows(slot.Span, 0)
            : Arrival.TryParse(ref slot, out Arrival arrival) && _inbound.Process(ref slot, arrival, _space.WallSeconds).Deliver;
        return new Arrivals(passes ? Describe(slot.Span) : "", "");
    }

    private static string Describe(Span<byte> packet)
    {
        Assert.True(Ipv4View.TryParse(packet, out Ipv4View ip));
        Assert.True(ip.HasValidChecksum);
        bool isGood = UdpView.TryParse(ip.Payload, out UdpView udp)
            && (udp.Checksum == 0 || InternetChecksum.Verifies(udp.Bytes, InternetChecksum.PseudoHeader(ip.Saddr, ip.Daddr, ip.Protocol, udp.Length)));
        return isGood ? Describe(ip, udp, withTos: true) : "";
    }

    private static string Describe(Ipv4View ip, UdpView udp, bool withTos) =>
        string.Create(CultureInfo.InvariantCulture, $"{Convert.ToHexStringLower(udp.Payload)} {new XfrmAddress(ip.Saddr)}:{udp.Sport} {(withTos ? ip.Tos : 0)}");

    private static string Recorded(JsonElement datagrams) => string.Join(' ', datagrams.EnumerateArray().Select(d =>
    {
        JsonElement from = d.GetProperty("from"), tos = d.GetProperty("tos");
        return $"{d.GetProperty("payload").GetString()} {from[0].GetString()}:{from[1]} {(tos.ValueKind == JsonValueKind.Number ? tos.GetInt32() : 0)}";
    }));

    private long[] Counters() => [.. Enum.GetValues<XfrmCounter>().Select(c => _space.Statistics[c])];

    private string Deltas(long[] before) =>
        string.Join(' ', Enum.GetValues<XfrmCounter>().Where(c => _space.Statistics[c] != before[(int)c]).Select(c => $"Xfrm{c}+{_space.Statistics[c] - before[(int)c]}"));

    private void CompareMessages(string what, List<Message> recorded)
    {
        foreach ((string name, (IProtocolSocket socket, ListBuffer buffer)) in _sockets)
        {
            List<Message> arrived = [];
            while (buffer.Receive(socket) is { } datagram)
            {
                arrived.AddRange(Split(name, datagram));
            }
            List<Message> expected = [.. recorded.Where(m => m.Socket == name)];
            if (arrived.Count != expected.Count || !arrived.Zip(expected).All(p => p.First.IsLike(p.Second)))
            {
                Compare(what, name, Hex(expected), Hex(arrived));
            }
        }
    }

    private static IEnumerable<Message> Split(string name, byte[] datagram)
    {
        for (int at = 0; at + 4 <= datagram.Length;)
        {
            int length = MemoryMarshal.Read<int>(datagram.AsSpan(at));
            yield return new Message(name, datagram[at..(at + length)], []);
            at += (length + 3) & ~3;
        }
    }

    private static string Hex(List<Message> messages) => string.Join("\n      ", messages.Select(m => Convert.ToHexStringLower(m.Bytes)));

    private void Compare(string what, string part, string recorded, string actual)
    {
        if (recorded != actual)
        {
            _differences.Append(CultureInfo.InvariantCulture, $"{what}, {part}:\n      {actual}\n   recorded\n      {recorded}\n");
        }
    }

    private sealed record Arrivals(string Delivered, string ToSocket);
}
