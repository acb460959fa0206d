using System.Buffers.Binary;
using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using Xfrmd.Kernel;
using Xfrmd.Netlink;
using Xfrmd.PfKey;
using Xfrmd.Replay;

namespace Xfrmd.Fuzz;

/// <summary>
/// Hostile PF_KEY bytes, made of recorded requests: nothing throws, and what comes back is well formed. <c>XFRMD_FUZZ_SECONDS</c> makes it
/// run longer, <c>XFRMD_FUZZ_SEED</c> runs one seed again.
/// </summary>
public sealed class PfKeyFuzzTests
{
    private const int SockRaw = 3, PfKeyV2 = 2, MessageHeader = 16, Word = 8, QueueLength = 64, MessagesPerMachine = 400, MaxExtension = 26;
    private const byte Register = 7, Promisc = 11;
    private static readonly byte[] PolicyRecords = [13, 14, 15, 16, 18, 22];
    private static readonly Caller Root = new(1, netAdmin: true);
    private static readonly byte[][] Seeds = [.. Recordings.Read("pk").Values
        .SelectMany(s => s.GetProperty("steps").EnumerateArray())
        .Where(s => s.TryGetProperty("sock", out JsonElement sock) && sock.GetString() == "pk")
        .Select(s => Convert.FromHexString(s.GetProperty("hex").GetString()!))];

    [Fact]
    public void No_datagram_makes_a_socket_throw_or_answer_nonsense() => Run(seed =>
    {
        Random random = new(seed);
        using Machine machine = new();
        for (int i = 0; i < MessagesPerMachine; i++)
        {
            machine.Sockets[random.Next(machine.Sockets.Length - 1)].Send(Mutate(random), [], Root);
            if (random.Next(8) == 0)
            {
                machine.Time.Advance(TimeSpan.FromMilliseconds(random.Next(3000)));
            }
            if (random.Next(4) == 0)
            {
                machine.ReadAll();
            }
        }
        machine.ReadAll();
    });

    [Fact]
    public void No_value_makes_the_socket_policy_parser_throw() => Run(seed =>
    {
        Random random = new(seed);
        using Machine machine = new();
        for (int i = 0; i < MessagesPerMachine; i++)
        {
            byte[] message = Mutate(random);
            int at = random.Next(message.Length + 1);
            bool six = random.Next(2) == 0;
            lock (machine.Space.Gate)
            {
                machine.PfKey.CompileSocketPolicy(machine.Space, six ? AddressFamily.Inet6 : AddressFamily.Inet, six ? 34 : 16, message.AsSpan(at), out _);
            }
        }
    });

    private static void Run(Action<int> round)
    {
        if (Environment.GetEnvironmentVariable("XFRMD_FUZZ_SEED") is { } again)
        {
            round(int.Parse(again, CultureInfo.InvariantCulture));
            return;
        }
        TimeSpan limit = TimeSpan.FromSeconds(double.Parse(Environment.GetEnvironmentVariable("XFRMD_FUZZ_SECONDS") ?? "3", CultureInfo.InvariantCulture));
        long start = TimeProvider.System.GetTimestamp();
        for (int seed = 1; seed == 1 || TimeProvider.System.GetElapsedTime(start) < limit; seed++)
        {
            try
            {
                round(seed);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"XFRMD_FUZZ_SEED={seed}: {e.Message}", e);
            }
        }
    }

    // A recorded request, parts of two, or noise; most of the time with a header that lets it in.
    private static byte[] Mutate(Random random)
    {
        byte[] message = [.. Seeds[random.Next(Seeds.Length)]];
        switch (random.Next(6))
        {
            case 0:
                message = [.. message.Take(MessageHeader), .. Seeds[random.Next(Seeds.Length)].Skip(MessageHeader), .. message.Skip(MessageHeader)];
                break;
            case 1:
                message = message[..random.Next(message.Length + 1)];
                break;
            case 2:
                byte[] noise = new byte[random.Next(200)];
                random.NextBytes(noise);
                message = [.. message.Take(MessageHeader), .. noise];
                break;
        }
        for (int i = random.Next(4); i > 0 && message.Length > 0; i--)
        {
            int at = random.Next(message.Length);
            message[at] = random.Next(3) switch { 0 => (byte)random.Next(256), 1 => (byte)(message[at] ^ (1 << random.Next(8))), _ => (byte)random.Next(2) };
        }
        if (random.Next(8) != 0)
        {
            Array.Resize(ref message, Math.Max(MessageHeader, message.Length / Word * Word));
            message[0] = PfKeyV2;
            message[1] = (byte)(1 + ((message[1] + 23) % 24));
            BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(4), (ushort)(message.Length / Word));
            (message[6], message[7]) = (0, 0);
        }
        return message;
    }

    private static void AssertWellFormed(byte[] message)
    {
        Assert.True(message.Length >= MessageHeader);
        Assert.Equal(PfKeyV2, message[0]);
        // Linux miscounts the policies whose templates are of several families.
        if (!PolicyRecords.Contains(message[1]))
        {
            Assert.Equal(message.Length / Word, BinaryPrimitives.ReadUInt16LittleEndian(message.AsSpan(4)));
        }
    }

    private static void AssertExtensions(byte[] message)
    {
        for (int at = MessageHeader; at < message.Length;)
        {
            int length = Word * BinaryPrimitives.ReadUInt16LittleEndian(message.AsSpan(at)), type = BinaryPrimitives.ReadUInt16LittleEndian(message.AsSpan(at + 2));
            Assert.InRange(length, Word, message.Length - at);
            Assert.InRange(type, 1, MaxExtension);
            at += length;
        }
    }

    private sealed class Machine : IDisposable
    {
        private readonly ListBuffer[] _buffers = [new(QueueLength), new(QueueLength), new(QueueLength)];

        public Machine()
        {
            Space = new XfrmNamespace(1, Time);
            new NetlinkXfrmFamily().Register(Space);
            Sockets = [.. _buffers.Select(b =>
            {
                Assert.Equal(Errno.None, PfKey.Create(SockRaw, PfKeyV2, Space, b, Root, out IProtocolSocket? socket));
                return socket!;
            })];
            Sockets[1].Send([PfKeyV2, Register, 0, 3, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [], Root);
        }

        public FakeTimeProvider Time { get; } = new(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));

        public PfKeyFamily PfKey { get; } = new();

        public XfrmNamespace Space { get; }

        public IProtocolSocket[] Sockets { get; }

        /// <summary>Sends nothing, so that nothing that it did not ask for is shown to it but what X_PROMISC relays.</summary>
        public IProtocolSocket Listener => Sockets[^1];

        public void ReadAll()
        {
            for (int i = 0; i < Sockets.Length; i++)
            {
                while (_buffers[i].Receive(Sockets[i]) is { } message)
                {
                    AssertWellFormed(message);
                    if (Sockets[i] == Listener && message[1] != Promisc)
                    {
                        AssertExtensions(message);
                    }
                }
            }
        }

        public void Dispose()
        {
            Array.ForEach(Sockets, s => s.Dispose());
            Space.Dispose();
        }
    }
}
