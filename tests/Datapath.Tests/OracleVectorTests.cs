using System.Buffers.Binary;
using Xfrmd.Datapath.Tests.Oracle;
using Xfrmd.Kernel;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Tests;

/// <summary>Each packet that a real kernel sent: ours are the same bytes, and theirs come out as what went in.</summary>
public sealed class OracleVectorTests
{
    private const int RecordedMtu = 1600;
    private const int Vectors = 1034;
    private static readonly TestClock Clock = new();

    // Linux reserves no room for the BEET pseudo header in ah_init_state: its AH header overwrites the first 8 bytes of the payload.
    private const int BrokenByLinux = 12;

    // The sequence number is used up: no packet.
    private const int Refused = 8;

    // Linux sends them and refuses them itself: the payload is empty (esp_remove_trailer).
    private static readonly string[] EmptyPayload = ["rawproto/transport/4in4/1268"];

    [Fact]
    public void The_recording_is_complete()
    {
        Assert.Equal(Vectors, PacketVector.All.Value.Length);
        Assert.Equal(BrokenByLinux, PacketVector.All.Value.Count(v => v.IsBroken));
        Assert.All(PacketVector.All.Value.Where(v => v.IsBroken), v => Assert.Equal((XfrmMode.Beet, IpProtocol.Ah), (v.Mode, v.Proto)));
        Assert.Equal(Refused, PacketVector.All.Value.Count(v => v.IsRefused));
    }

    [Fact]
    public void What_was_sent_becomes_the_recorded_packets()
    {
        List<string> failures = [];
        int same = 0;
        foreach (PacketVector vector in PacketVector.All.Value.Where(v => !v.IsBroken && !v.IsRefused))
        {
            byte[][] expected = [.. Reassembly.Whole(vector.Outer)], actual = [.. Encapsulate(vector, expected)];
            bool equal = expected.Length == actual.Length && expected.Zip(actual).All(p => p.First.AsSpan().SequenceEqual(p.Second));
            same += equal ? 1 : 0;
            if (!equal)
            {
                failures.Add($"{vector.Id}: {string.Join(' ', actual.Select(Convert.ToHexStringLower))} for {string.Join(' ', expected.Select(Convert.ToHexStringLower))}");
            }
        }
        Assert.True(failures.Count == 0, $"{failures.Count} failures\n" + string.Join('\n', failures.Take(12)));
        Assert.Equal(Vectors - BrokenByLinux - Refused, same);
    }

    [Fact]
    public void The_recorded_packets_become_what_was_sent()
    {
        List<string> failures = [], refused = [];
        int same = 0;
        foreach (PacketVector vector in PacketVector.All.Value.Where(v => !v.IsBroken && !v.IsRefused))
        {
            List<byte[]> outer = Reassembly.Whole(vector.Outer), inner = vector.Inner();
            using XfrmNamespace space = new(1, Clock);
            using Inbound inbound = new(space, new TestHost());
            Prepare(space, vector);
            bool equal = outer.Count == inner.Count;
            for (int i = 0; equal && i < outer.Count; i++)
            {
                PacketSlot slot = Packets.Slot(outer[i]);
                bool delivered = vector.IsPlain || (Arrival.TryParse(ref slot, out Arrival arrival) && inbound.Process(ref slot, arrival, Clock.Seconds).Deliver);
                if (!delivered && space.Statistics[XfrmCounter.InStateProtoError] == 1 && inner[i].Length == 20)
                {
                    refused.Add(vector.Id);
                    equal = false;
                    break;
                }
                equal = delivered && slot.Span.SequenceEqual(AsReceived(vector, inner[i]));
                if (!equal)
                {
                    failures.Add($"{vector.Id}: {delivered} {Counters(space)} {Convert.ToHexStringLower(slot.Span)} for {Convert.ToHexStringLower(inner[i])}");
                }
            }
            same += equal ? 1 : 0;
        }
        Assert.True(failures.Count == 0, $"{failures.Count} failures\n" + string.Join('\n', failures.Take(12)));
        Assert.Equal(EmptyPayload, refused);
        Assert.Equal(Vectors - BrokenByLinux - Refused - EmptyPayload.Length, same);
    }

    [Fact]
    public void A_used_up_sequence_number_is_refused()
    {
        foreach (PacketVector vector in PacketVector.All.Value.Where(v => v.IsRefused))
        {
            using XfrmNamespace space = new(1, Clock);
            using OutboundSa link = new(vector.CreateSa());
            PacketSlot slot = Packets.Slot(vector.Sent);
            Assert.Equal(OutboundVerdict.Dropped, new Outbound(space, new IpIdentifiers()).Transform(ref slot, new OutboundBundle([link], RecordedMtu), Clock.Seconds));
            Assert.Equal(1, space.Statistics[XfrmCounter.OutStateSeqError]);
        }
    }

    /// <summary>BEET over IPv6 does not carry the identification and the fragment field: the receiver makes up 0 and DF (xfrm6_extract_header).</summary>
    private static byte[] AsReceived(PacketVector vector, byte[] sent)
    {
        if (vector is not { Mode: XfrmMode.Beet, InnerFamily: AddressFamily.Inet, OuterFamily: AddressFamily.Inet6 })
        {
            return sent;
        }
        byte[] received = [.. sent];
        BinaryPrimitives.WriteUInt32BigEndian(received.AsSpan(4), Ipv4View.DontFragmentBit);
        Ipv4View.Seal(received);
        return received;
    }

    private static List<byte[]> Encapsulate(PacketVector vector, byte[][] expected)
    {
        using XfrmNamespace space = new(1, Clock);
        SecurityAssociation sa = vector.CreateSa();
        List<byte[]> inner = vector.Inner(), outer = [];
        Queue<byte[]> ivs = new(Enumerable.Range(0, inner.Count).Select(vector.Iv));
        using OutboundSa link = sa.Esp is null ? new OutboundSa(sa) : new OutboundSa(sa, new RecordedIv(sa.Esp.CreateContext(), ivs));
        OutboundBundle bundle = new([link], RecordedMtu);
        uint id = expected[0][0] >> 4 == 4 ? BinaryPrimitives.ReadUInt16BigEndian(expected[0].AsSpan(4)) : 0u;
        Outbound outbound = new(space, new IpIdentifiers(id));
        foreach (byte[] packet in inner)
        {
            PacketSlot slot = Packets.Slot(packet);
            OutboundVerdict verdict = outbound.Transform(ref slot, bundle, Clock.Seconds);
            Assert.True(verdict is OutboundVerdict.Send or OutboundVerdict.Fragment, $"{vector.Id} {verdict} {Counters(space)}");
            Assert.Equal(slot.Length > RecordedMtu ? OutboundVerdict.Fragment : OutboundVerdict.Send, verdict);
            outer.Add(slot.Span.ToArray());
        }
        return outer;
    }

    private static void Prepare(XfrmNamespace space, PacketVector vector)
    {
        SecurityAssociation sa = vector.CreateSa();
        PolicyTemplate template = new() { Family = sa.Family, ModeByte = (byte)sa.Mode, Aalgos = uint.MaxValue, Ealgos = uint.MaxValue, Calgos = uint.MaxValue };
        template.Id.Proto = sa.Id.Proto;
        template.Optional = vector.Proto == IpProtocol.Comp ? (byte)1 : (byte)0;   // small packets come unpacked
        XfrmSelector any = default;
        any.Family = vector.InnerFamily;
        lock (space.Gate)
        {
            Assert.True(space.Sad.Add(sa).IsOk);
            space.Spd.Insert(new Policy { Selector = any, Direction = PolicyDirection.In, TemplateArray = [template] }, exclusive: true);
        }
    }

    private static string Counters(XfrmNamespace space) =>
        string.Join(',', Enum.GetValues<XfrmCounter>().Where(c => space.Statistics[c] != 0).Select(c => $"{c}={space.Statistics[c]}"));
}
