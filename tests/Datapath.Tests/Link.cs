using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Tests;

/// <summary>
/// A sender and a receiver with the same SAs, each in a namespace of its own, and a wire between them.
/// </summary>
internal sealed class Link : IDisposable
{
    private readonly OutboundSa[] _chain;

    /// <param name="create">Makes the SAs, innermost first; called once for each side.</param>
    /// <param name="pathMtu">The wire's MTU.</param>
    public Link(Func<SecurityAssociation[]> create, int pathMtu = 1500)
    {
        SenderSas = create();
        ReceiverSas = create();
        _chain = [.. SenderSas.Select(static sa => new OutboundSa(sa))];
        Bundle = new OutboundBundle(_chain, pathMtu);
        Outbound = new Outbound(Sender, Identifiers);
        Inbound = new Inbound(Receiver, Host);
        lock (Receiver.Gate)
        {
            foreach (SecurityAssociation sa in ReceiverSas)
            {
                Assert.True(Receiver.Sad.Add(sa).IsOk);
            }
        }
    }

    public TestClock Clock { get; } = new();
    public TestHost Host { get; } = new();
    public IpIdentifiers Identifiers { get; } = new();
    public XfrmNamespace Sender => _sender ??= new XfrmNamespace(1, Clock);
    public XfrmNamespace Receiver => _receiver ??= new XfrmNamespace(2, Clock);
    public SecurityAssociation[] SenderSas { get; }
    public SecurityAssociation[] ReceiverSas { get; }
    public OutboundBundle Bundle { get; }
    public Outbound Outbound { get; }
    public Inbound Inbound { get; }
    private XfrmNamespace? _sender, _receiver;

    /// <summary>Both inbound policies, for all packets of a family: templates as the SAs are.</summary>
    public Link WithPolicy(ushort family)
    {
        foreach (PolicyDirection direction in new[] { PolicyDirection.In, PolicyDirection.Fwd })
        {
            XfrmSelector any = default;
            any.Family = family;
            PolicyTemplate[] templates = [.. ReceiverSas.Select(Template)];
            lock (Receiver.Gate)
            {
                Receiver.Spd.Insert(new Policy { Selector = any, Direction = direction, TemplateArray = templates }, exclusive: true);
            }
        }
        return this;
    }

    /// <summary>What leaves the sender.</summary>
    public byte[] Send(byte[] packet)
    {
        PacketSlot slot = Packets.Slot(packet);
        OutboundVerdict verdict = Outbound.Transform(ref slot, Bundle, Clock.Seconds);
        Assert.True(verdict is OutboundVerdict.Send or OutboundVerdict.Fragment, $"{verdict} {Packets.Counters(Sender)}");
        return slot.Span.ToArray();
    }

    /// <summary>What the receiver makes of it; null where it is lost.</summary>
    public byte[]? Receive(byte[] packet) => Receive(packet, out _);

    public byte[]? Receive(byte[] packet, out InboundResult result)
    {
        PacketSlot slot = Packets.Slot(packet);
        result = Arrival.TryParse(ref slot, out Arrival arrival) ? Inbound.Process(ref slot, arrival, Clock.Seconds) : default;
        return result.Deliver ? slot.Span.ToArray() : null;
    }

    public void Dispose()
    {
        Inbound.Dispose();
        Array.ForEach(_chain, static link => link.Dispose());
        Sender.Dispose();
        Receiver.Dispose();
    }

    private static PolicyTemplate Template(SecurityAssociation sa)
    {
        PolicyTemplate template = new()
        {
            Family = sa.Family,
            ModeByte = (byte)sa.Mode,
            Aalgos = uint.MaxValue,
            Ealgos = uint.MaxValue,
            Calgos = uint.MaxValue,
            Optional = sa.Id.Proto == IpProtocol.Comp ? (byte)1 : (byte)0,
        };
        template.Id.Proto = sa.Id.Proto;
        return template;
    }
}
