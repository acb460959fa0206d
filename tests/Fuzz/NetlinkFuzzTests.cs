using System.Globalization;
using System.Security.Cryptography;
using Xfrmd.Kernel;
using Xfrmd.Netlink;
using Xfrmd.Replay;

namespace Xfrmd.Fuzz;

/// <summary>
/// Any bytes at a NETLINK_XFRM socket: an answer of the kernel's kind or silence, never an exception, and where every answer is a refusal
/// the databases are as they were.
/// </summary>
public sealed class NetlinkFuzzTests
{
    private const int Entries = 24, HeaderLength = 16, Error = 2, AllocSpi = 22, LongestDatagram = 4096;
    private static readonly TimeSpan LongestAnswer = TimeSpan.FromSeconds(5);
    private static readonly Caller Root = new(1, netAdmin: true);

    /// <summary>How long each seed runs; <c>make fuzz</c> asks for more.</summary>
    private static TimeSpan Budget => TimeSpan.FromSeconds(
        int.TryParse(Environment.GetEnvironmentVariable("XFRMD_FUZZ_SECONDS"), CultureInfo.InvariantCulture, out int seconds) ? seconds : 4);

    private static byte[][] Corpus() =>
        [.. File.ReadLines(Path.Combine(Repository.Root, "tests", "Fuzz", "Corpus", "netlink.txt")).Where(l => !l.StartsWith('#')).Select(Convert.FromHexString)];

    [Fact]
    public void Changed_requests_are_answered_and_refusals_change_nothing() => Run(seed: 1, Mutate);

    [Fact]
    public void Noise_is_answered_or_ignored() => Run(seed: 2, static (random, _) =>
    {
        byte[] noise = new byte[random.Next(LongestDatagram)];
        random.NextBytes(noise);
        if (noise.Length >= HeaderLength && random.Next(4) != 0)
        {
            // A header that leads to a handler.
            BitConverter.TryWriteBytes(noise, random.Next(HeaderLength, noise.Length + 1));
            BitConverter.TryWriteBytes(noise.AsSpan(4), (ushort)random.Next(16, 42));
            noise[6] |= 1;
        }
        return noise;
    });

    private static void Run(int seed, Func<Random, byte[][], byte[]> next)
    {
        Random random = new(seed);
        byte[][] corpus = Corpus();
        ManualTime time = new();
        using XfrmNamespace space = new(1, time);
        NetlinkXfrmFamily family = new();
        (IProtocolSocket socket, ListBuffer answers) = Open(family, space);
        (IProtocolSocket watcher, ListBuffer dumps) = Open(family, space);
        long start = TimeProvider.System.GetTimestamp();
        byte[] before = Digest(watcher, dumps);
        for (int i = 0; TimeProvider.System.GetElapsedTime(start) < Budget; i++)
        {
            byte[] request = i < corpus.Length ? corpus[i] : next(random, corpus);
            long asked = TimeProvider.System.GetTimestamp();
            try
            {
                socket.Send(request, [], Root);
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException("request " + Convert.ToHexStringLower(request), exception);
            }
            Assert.True(TimeProvider.System.GetElapsedTime(asked) < LongestAnswer, "slow: " + Convert.ToHexStringLower(request));
            bool refused = true;
            while (answers.Receive(socket) is { } answer)
            {
                refused &= BitConverter.ToUInt16(answer, 4) == Error && BitConverter.ToInt32(answer, HeaderLength) < 0;
                // Linux leaves the larval SA of an ALLOCSPI that found no SPI.
                refused &= !(answer.Length >= HeaderLength + 10 && answer[HeaderLength + 8] == AllocSpi);
            }
            byte[] after = Digest(watcher, dumps);
            if (refused && !before.AsSpan().SequenceEqual(after))
            {
                Assert.Fail("a refused request changed a database: " + Convert.ToHexStringLower(request));
            }
            if (space.Sad.Count + space.Spd.Total > Entries)
            {
                space.Sad.Flush(0);
                space.Spd.Flush(PolicyType.Main);
                space.Spd.Flush(PolicyType.Sub);
                time.Advance(TimeSpan.FromSeconds(random.Next(40)));
                space.RunPending();
                after = Digest(watcher, dumps);
            }
            before = after;
        }
    }

    private static (IProtocolSocket Socket, ListBuffer Buffer) Open(NetlinkXfrmFamily family, XfrmNamespace space)
    {
        const int raw = 3, netlinkXfrm = 6, allGroups = 0xff;
        ListBuffer buffer = new();
        Assert.Equal(Errno.None, family.Create(raw, netlinkXfrm, space, buffer, Root, out IProtocolSocket? socket));
        Assert.Equal(Errno.None, socket!.Bind([16, 0, 0, 0, 0, 0, 0, 0, allGroups, 0, 0, 0], Root));
        return (socket, buffer);
    }

    // What the dumps show of both databases; the events that came in between are passed over.
    private static byte[] Digest(IProtocolSocket watcher, ListBuffer dumps)
    {
        while (dumps.Receive(watcher) is not null)
        {
        }
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        const byte getSa = 18, getPolicy = 21;
        foreach (byte type in new[] { getSa, getPolicy })
        {
            watcher.Send([16, 0, 0, 0, type, 0, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0], [], Root);
            while (dumps.Receive(watcher) is { } part)
            {
                hash.AppendData(part);
            }
        }
        return hash.GetHashAndReset();
    }

    private static byte[] Mutate(Random random, byte[][] corpus)
    {
        List<byte> bytes = [.. corpus[random.Next(corpus.Length)]];
        for (int changes = random.Next(1, 6); changes > 0; changes--)
        {
            int at = bytes.Count == 0 ? 0 : random.Next(bytes.Count);
            switch (random.Next(7))
            {
                case 0 when bytes.Count > 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1 when bytes.Count > 0:
                    bytes[at] = (byte)(random.Next(3) switch { 0 => 0, 1 => 255, _ => random.Next(256) });
                    break;
                case 2:
                    bytes.RemoveRange(at, Math.Min(random.Next(40), bytes.Count - at));
                    break;
                case 3:
                    byte[] inserted = new byte[random.Next(40)];
                    random.NextBytes(inserted);
                    bytes.InsertRange(at, inserted);
                    break;
                case 4:
                    bytes.AddRange(corpus[random.Next(corpus.Length)]);
                    break;
                case 5 when bytes.Count > 8:
                    // Another message's body under this type.
                    bytes[4] = (byte)random.Next(14, 44);
                    break;
                default:
                    // A length that fits what the changes have left.
                    byte[] length = BitConverter.GetBytes(bytes.Count);
                    for (int i = 0; i < Math.Min(4, bytes.Count); i++)
                    {
                        bytes[i] = length[i];
                    }
                    break;
            }
        }
        return [.. bytes];
    }
}
