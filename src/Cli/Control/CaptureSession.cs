using System.Globalization;
using System.Net;
using Xfrmd.Datapath;
using Xfrmd.Datapath.Capture;
using Xfrmd.Kernel;

namespace Xfrmd.Cli.Control;

/// <summary>One person's capture as pcapng: two interfaces, the clear side and the ESP side, each packet with its SA in a comment.</summary>
internal sealed class CaptureSession : IDisposable
{
    private const long TicksOfEpoch = 621355968000000000;   // 1970 in ticks of 100 ns
    private readonly XfrmNamespace _space;
    private readonly PacketCapture _capture;
    private readonly CaptureQuery _query;
    private readonly bool _withKeys;
    private readonly XfrmAddress? _host;
    private readonly ushort _hostFamily;
    private readonly Dictionary<SecurityAssociation, string> _told = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<(XfrmAddress, Be32, byte), SecurityAssociation?> _found = [];
    private int _generation;
    private long _lastMicroseconds;

    public CaptureSession(INamespaceView view, CaptureQuery query, bool withKeys)
    {
        (_space, _query, _withKeys) = (view.Space, query, withKeys);
        if (query.Host is { } host && IPAddress.TryParse(host, out IPAddress? address))
        {
            _host = XfrmAddress.From(address);
            _hostFamily = address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? AddressFamily.Inet6 : AddressFamily.Inet;
        }
        _capture = view.Captures.Start(query.SnapLength);
        Writer.Section("xfrmd");
        Writer.Interface("ipsec-clear", "what hosts say: before it is protected, after it was opened", query.SnapLength);
        Writer.Interface("ipsec-esp", "what the network carries: ESP, AH, IPComp, ESP in UDP", query.SnapLength);
    }

    /// <summary>Blocks that are to be sent; clear it once they are.</summary>
    public PcapngWriter Writer { get; } = new();

    /// <summary>Packets that were written.</summary>
    public long Packets { get; private set; }

    /// <summary>As many were written as were asked for.</summary>
    public bool IsComplete => _query.Count > 0 && Packets >= _query.Count;

    /// <summary>Writes what has come.</summary>
    /// <param name="all">Up to this moment: it is the last call.</param>
    public void Collect(bool all)
    {
        if (_generation != _space.Generation)
        {
            _generation = _space.Generation;
            _found.Clear();
        }
        _capture.Drain(Write, all);
    }

    /// <summary>The end: what the capture itself has lost.</summary>
    public void WriteStatistics()
    {
        Writer.Statistics(0, _lastMicroseconds, _capture.Lost);
        Writer.Statistics(1, _lastMicroseconds, 0);
    }

    public void Dispose() => _capture.Dispose();

    private void Write(in CapturedPacket packet, ReadOnlySpan<byte> bytes)
    {
        if (IsComplete || (_query.Side == CaptureQuery.Clear && packet.Side == CaptureSide.Esp) || (_query.Side == CaptureQuery.Esp && packet.Side == CaptureSide.Clear))
        {
            return;
        }
        PacketNames names = PacketNames.Read(bytes);
        SecurityAssociation? sa = packet.Sa ?? Find(names);
        if ((_query.Spi != 0 && _query.Spi != (sa?.Id.Spi.Value ?? names.Spi.Value)) || (_host is { } host && !Concerns(names, sa, host)))
        {
            return;
        }
        if (_withKeys && sa is not null && !_told.ContainsKey(sa))
        {
            WriteKeys(sa);
        }
        _lastMicroseconds = (packet.Ticks - TicksOfEpoch) / TimeSpan.TicksPerMicrosecond;
        Writer.Packet(packet.Side == CaptureSide.Clear ? 0 : 1, _lastMicroseconds, bytes, packet.Length, Comment(packet, names, sa));
        Packets++;
    }

    private bool Concerns(in PacketNames names, SecurityAssociation? sa, XfrmAddress host) =>
        (names.Family == _hostFamily && (names.Saddr == host || names.Daddr == host))
        || (sa is not null && sa.Family == _hostFamily && (sa.Saddr == host || sa.Id.Daddr == host));

    // A worker that sends knows what it sends, not any more through which SA: the packet itself says that.
    private SecurityAssociation? Find(in PacketNames names)
    {
        if (names.Spi.Raw == 0)
        {
            return null;
        }
        (XfrmAddress, Be32, byte) key = (names.Daddr, names.Spi, names.Protocol);
        if (!_found.TryGetValue(key, out SecurityAssociation? found))
        {
            PacketNames wanted = names;
            lock (_space.Gate)
            {
                found = _space.Sad.Lookup(0, wanted.Daddr, wanted.Spi, wanted.Protocol, wanted.Family)
                    ?? _space.Sad.All.FirstOrDefault(sa => sa.Id.Spi == wanted.Spi && sa.Id.Proto == wanted.Protocol && sa.Family == wanted.Family && sa.Id.Daddr == wanted.Daddr);
            }
            _found.Add(key, found);
        }
        return found;
    }

    private string Comment(in CapturedPacket packet, in PacketNames names, SecurityAssociation? sa)
    {
        string direction = packet.Inbound ? "in" : "out";
        string through = sa is not null ? Told(sa)
            : names.Spi.Raw != 0 ? string.Create(CultureInfo.InvariantCulture, $"{Describe.Protocol(names.Protocol)} 0x{names.Spi.Value:x8}, no such SA here")
            : packet.Side == CaptureSide.Esp && names.IsFragment ? "a fragment of a protected packet"
            : "in clear";
        string lost = !packet.IsLost ? "" : packet.Dropped is { } counter ? $"; dropped: Xfrm{counter}, {CounterGuide.Meaning(counter)}" : "; dropped";
        return $"{direction} {through}{lost}";
    }

    private string Told(SecurityAssociation sa)
    {
        if (!_told.TryGetValue(sa, out string? text))
        {
            text = string.Create(CultureInfo.InvariantCulture,
                $"{Describe.Protocol(sa.Id.Proto)} spi 0x{sa.Id.Spi.Value:x8} src {sa.Saddr.ToString(sa.Family)} dst {sa.Id.Daddr.ToString(sa.Family)} reqid {sa.Reqid} {Describe.Mode(sa.Mode)}");
            _told.Add(sa, text);
        }
        return text;
    }

    private void WriteKeys(SecurityAssociation sa)
    {
        lock (_space.Gate)
        {
            if (sa.State == SaState.Valid && WiresharkTable.Line(Describe.Report(sa, 0, showKeys: true)) is { } line)
            {
                Writer.Secrets(line + "\n");
            }
        }
    }
}
