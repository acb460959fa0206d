using System.Runtime.InteropServices;
using System.Text.Json;
using Xfrmd.Kernel;
using Xfrmd.Replay;

namespace Xfrmd.Netlink.Tests.Recordings;

/// <summary>
/// A recorded conversation of charon 5.9.8 with the kernel, request by request: start, SAs and policies, rekeying, trap and acquire,
/// teardown. What its packets did in between is put into the SAs from the recording itself.
/// </summary>
public sealed class CharonConversationTests : IDisposable
{
    private const int Header = 16, SpiOfInfo = Header + 72, CurrentLifetime = Header + 160, Attributes = Header + 224;
    private const int AllocSpi = 22, NewSa = 16, GetSa = 18, Acquire = 23, LastUsed = 15, ReplayVal = 10, ReplayEsnVal = 23;
    private readonly XfrmNamespace _space = new(1, new ManualTime());
    private readonly Dictionary<string, string> _spis = [];
    private readonly Client _requests;
    private readonly Client _events;

    public CharonConversationTests()
    {
        _space.Sysctls.AcqExpires = 165;   // charon writes net.core.xfrm_acq_expires at its start
        NetlinkXfrmFamily family = new();
        _requests = new Client(family, _space, tgid: 181);
        _events = new Client(family, _space, tgid: 181);
        _events.Bind(pid: 0, groups: 0xC3);
    }

    public void Dispose() => _space.Dispose();

    [Fact]
    public void Every_answer_is_as_charon_got_it()
    {
        JsonElement[] lines = [.. Replay.Recordings.ReadLines("charon-5.9.8-netlink")];
        byte[] request = [];
        foreach (JsonElement line in lines)
        {
            byte[] bytes = Convert.FromHexString(WithOurSpis(line.GetProperty("hex").GetString()!));
            if (line.GetProperty("dir").GetString() == "to-kernel")
            {
                request = bytes;
                if (bytes[4] != GetSa)
                {
                    _requests.Send(bytes);
                }
                continue;
            }
            Message recorded = Message.From(line, "nl") with { Bytes = bytes };
            if (bytes[4] == Acquire)
            {
                SendPacket(bytes);
                AssertLike(recorded, _events.Receive());
                continue;
            }
            if (request[4] == GetSa)
            {
                ApplyTraffic(bytes);
                _requests.Send(request);
            }
            byte[]? answer = _requests.Receive();
            if (request[4] == AllocSpi)
            {
                _spis[Convert.ToHexStringLower(bytes.AsSpan(SpiOfInfo, 4))] = Convert.ToHexStringLower(answer.AsSpan(SpiOfInfo, 4));
                recorded = recorded with { Volatile = [.. recorded.Volatile, (SpiOfInfo, 4)] };
            }
            AssertLike(recorded, answer);
        }
        Assert.Null(_requests.Receive());
        Assert.Null(_events.Receive());
    }

    private static void AssertLike(Message recorded, byte[]? answer)
    {
        Assert.NotNull(answer);
        Message ours = new("nl", answer, []);
        Assert.True(ours.IsLike(recorded), $"{Convert.ToHexStringLower(recorded.Bytes)}\n{Convert.ToHexStringLower(answer)}");
    }

    private string WithOurSpis(string hex) => _spis.Aggregate(hex, (text, spi) => text.Replace(spi.Key, spi.Value, StringComparison.Ordinal));

    // The packet that made the kernel ask, as the ACQUIRE's selector shows it.
    private void SendPacket(byte[] acquire)
    {
        XfrmSelector selector = MemoryMarshal.Read<XfrmSelector>(acquire.AsSpan(Header + 40));
        _space.Resolver.Resolve(new Flow
        {
            Saddr = selector.Saddr,
            Daddr = selector.Daddr,
            Family = selector.Family,
            Proto = selector.Proto,
            Sport = selector.Sport.Value,
            Dport = selector.Dport.Value,
            Oif = selector.Ifindex,
        });
        _space.RunPending();
    }

    // Counters, times and sequence numbers as the recorded answer shows them.
    private void ApplyTraffic(byte[] answer)
    {
        if (answer[4] != NewSa)
        {
            return;
        }
        XfrmId id = MemoryMarshal.Read<XfrmId>(answer.AsSpan(Header + 56));
        SecurityAssociation? sa = _space.Sad.Lookup(0, id.Daddr, id.Spi, id.Proto, AddressFamily.Inet);
        Assert.NotNull(sa);
        XfrmLifetimeCur lifetime = MemoryMarshal.Read<XfrmLifetimeCur>(answer.AsSpan(CurrentLifetime));
        sa.CurrentLifetime = lifetime;
        for (int at = Attributes; at < answer.Length; at += (BitConverter.ToUInt16(answer, at) + 3) & ~3)
        {
            Span<uint> words = MemoryMarshal.Cast<byte, uint>(answer.AsSpan(at + 4, BitConverter.ToUInt16(answer, at) - 4));
            switch (BitConverter.ToUInt16(answer, at + 2))
            {
                case LastUsed:
                    sa.LastUsed = MemoryMarshal.Read<ulong>(answer.AsSpan(at + 4));
                    break;
                case ReplayVal:
                    sa.SetReplay(sa.Replay.Snapshot() with { Oseq = words[0], Seq = words[1], Bitmap = [words[2]] });
                    break;
                case ReplayEsnVal:
                    sa.SetReplay(sa.Replay.Snapshot() with { Oseq = words[1], Seq = words[2], OseqHi = words[3], SeqHi = words[4], Bitmap = words[6..].ToArray() });
                    break;
            }
        }
    }
}
