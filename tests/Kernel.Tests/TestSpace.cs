using Microsoft.Extensions.Time.Testing;

namespace Xfrmd.Kernel.Tests;

/// <summary>A namespace with a clock of the test's own and a key manager that remembers what it was told.</summary>
internal sealed class TestSpace : IDisposable
{
    public TestSpace()
    {
        Time = new FakeTimeProvider(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));
        Space = new XfrmNamespace(1, Time);
        Space.KeyManagers.Register(Manager);
    }

    public FakeTimeProvider Time { get; }
    public XfrmNamespace Space { get; }
    public RecordingManager Manager { get; } = new();

    /// <summary>Moves the clock second by second, so that every timer fires in its own second as it would.</summary>
    public void Pass(int seconds)
    {
        for (int i = 0; i < seconds; i++)
        {
            Time.Advance(TimeSpan.FromSeconds(1));
            Space.RunPending();
        }
    }

    public static SecurityAssociation Sa(string source, string destination, uint spi, uint reqid = 1, XfrmMode mode = XfrmMode.Tunnel)
    {
        SecurityAssociation sa = new() { Family = AddressFamily.Inet, Saddr = XfrmAddress.Parse(source), Reqid = reqid, Mode = mode, State = SaState.Valid };
        sa.Id.Daddr = XfrmAddress.Parse(destination);
        sa.Id.Spi = Be32.From(spi);
        sa.Id.Proto = IpProtocol.Esp;
        return sa;
    }

    public static PolicyTemplate Template(string source, string destination, uint reqid = 1, uint spi = 0, XfrmMode mode = XfrmMode.Tunnel, bool optional = false)
    {
        PolicyTemplate template = new()
        {
            Family = AddressFamily.Inet,
            Saddr = XfrmAddress.Parse(source),
            Reqid = reqid,
            ModeByte = (byte)mode,
            Optional = optional ? (byte)1 : (byte)0,
            Aalgos = uint.MaxValue,
            Ealgos = uint.MaxValue,
            Calgos = uint.MaxValue,
        };
        template.Id.Daddr = XfrmAddress.Parse(destination);
        template.Id.Proto = IpProtocol.Esp;
        template.Id.Spi = Be32.From(spi);
        return template;
    }

    public static XfrmSelector Selector(string source, int sourcePrefix, string destination, int destinationPrefix, byte proto = 0) => new()
    {
        Saddr = XfrmAddress.Parse(source),
        PrefixlenS = (byte)sourcePrefix,
        Daddr = XfrmAddress.Parse(destination),
        PrefixlenD = (byte)destinationPrefix,
        Family = source.Contains(':', StringComparison.Ordinal) ? AddressFamily.Inet6 : AddressFamily.Inet,
        Proto = proto,
    };

    public static Policy Policy(XfrmSelector selector, uint priority, PolicyDirection direction = PolicyDirection.Out, params PolicyTemplate[] templates) =>
        new() { Selector = selector, Direction = direction, Priority = priority, TemplateArray = templates };

    public static Flow Flow(string source, string destination, byte proto = IpProtocol.Udp, ushort sport = 1000, ushort dport = 2000) => new()
    {
        Saddr = XfrmAddress.Parse(source),
        Daddr = XfrmAddress.Parse(destination),
        Proto = proto,
        Sport = sport,
        Dport = dport,
        Family = source.Contains(':', StringComparison.Ordinal) ? AddressFamily.Inet6 : AddressFamily.Inet,
    };

    public void Dispose() => Space.Dispose();

    internal sealed class RecordingManager : IKeyManager
    {
        public List<SaEvent> Events { get; } = [];
        public List<PolicyEvent> PolicyEvents { get; } = [];
        public List<SecurityAssociation> Acquires { get; } = [];
        public List<(XfrmAddress Address, Be16 Port)> Mappings { get; } = [];
        public bool ListensForAcquire { get; set; } = true;
        public bool ListensForAevents { get; set; }

        public void Notify(in SaEvent notification) => Events.Add(notification);
        public void NotifyPolicy(in PolicyEvent notification) => PolicyEvents.Add(notification);

        public bool Acquire(SecurityAssociation larval, in PolicyTemplate template, Policy policy)
        {
            Acquires.Add(larval);
            return ListensForAcquire;
        }

        public bool NewMapping(SecurityAssociation sa, in XfrmAddress newAddress, Be16 newPort)
        {
            Mappings.Add((newAddress, newPort));
            return true;
        }

        public void Migrate(in XfrmSelector selector, PolicyDirection direction, PolicyType type, IReadOnlyList<MigrateEntry> entries, KmAddress? kmAddress, XfrmEncapTmpl? encap)
        {
        }
    }
}
