using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Linux.Packets;

namespace Xfrmd.Bench.Load;

/// <summary>Sends datagrams to a <see cref="DatagramSink"/> at a given rate, each by itself as programs do, and asks how many arrived.</summary>
internal sealed class RateSearch : IDisposable
{
    private const int Batch = 64, Questions = 20, TickMicroseconds = 100, AnswerMilliseconds = 2000;
    private const double AllowedLoss = 0.001, Probe1 = 0.8, Confirm = 2.0;
    private readonly Socket _data;
    private readonly Socket _questions;
    private readonly SafeFileHandle _handle;
    private readonly WakeEvent _never = new();
    private readonly ShortSleep _tick;
    private readonly SendBatch _batch = new(Batch, Batch);
    private readonly byte[] _payload;
    private readonly byte[] _address;
    private readonly int _port;

    public RateSearch(IPAddress address, int port, int size)
    {
        (_address, _port, _payload) = (address.GetAddressBytes(), port, PinnedArray.Create(size));
        _payload.AsSpan().Clear();
        _data = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        _data.SetRawSocketOption(1, 32, BitConverter.GetBytes(4 << 20));   // SOL_SOCKET, SO_SNDBUFFORCE
        _data.Connect(new IPEndPoint(address, port));
        _handle = new SafeFileHandle(_data.Handle, ownsHandle: false);
        _questions = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = AnswerMilliseconds };
        _questions.Connect(new IPEndPoint(address, port + 1));
        _tick = new ShortSleep(_never.Handle);
    }

    /// <summary>Datagrams per second: of the highest rate that passed, those that arrived.</summary>
    public long Run()
    {
        _ = Probe(10_000, 0.3);
        double good = 0, bad = double.PositiveInfinity;
        long best = 0;
        for (double rate = 40_000; (double.IsInfinity(bad) || bad / good > 1.06) && rate < 4_000_000; rate = double.IsInfinity(bad) ? rate * 1.6 : good == 0 ? rate / 2 : Math.Sqrt(good * bad))
        {
            if (rate < 500)
            {
                return 0;
            }
            (long sent, long received) = Probe((int)rate, Probe1);
            // A sender that cannot keep up has found its own limit.
            bool kept = sent >= rate * Probe1 * 0.97;
            if (kept && sent - received <= sent * AllowedLoss)
            {
                (good, best) = (rate, (long)(received / Probe1));
            }
            else
            {
                bad = rate;
            }
        }
        // What passed for a moment must pass for longer.
        for (double rate = good; rate > 500; rate *= 0.93)
        {
            (long sent, long received) = Probe((int)rate, Confirm);
            if (sent - received <= sent * AllowedLoss)
            {
                return (long)(received / Confirm);
            }
        }
        return Math.Min(best, 0);
    }

    public (long Sent, long Received) Probe(int rate, double seconds)
    {
        long before = Ask(), start = Stopwatch.GetTimestamp(), end = start + (long)(seconds * Stopwatch.Frequency);
        long sent = 0;
        for (long now = start; now < end; now = Stopwatch.GetTimestamp())
        {
            long due = Math.Min((long)((now - start) / (double)Stopwatch.Frequency * rate) + 1, (long)(rate * seconds));
            if (due - sent < 1)
            {
                _tick.Sleep(TickMicroseconds);
                continue;
            }
            while (sent < due && Stopwatch.GetTimestamp() < end)
            {
                sent += Send((int)Math.Min(due - sent, Batch));
            }
        }
        long received = Ask() - before;
        for (int i = 0; received < sent && i < 10; i++)
        {
            Thread.Sleep(50);
            long later = Ask() - before;
            if (later == received && i > 2)
            {
                break;
            }
            received = later;
        }
        return (sent, received);
    }

    public void Dispose()
    {
        _data.Dispose();
        _questions.Dispose();
        _handle.Dispose();
        _never.Dispose();
    }

    private int Send(int count)
    {
        _batch.Clear();
        for (int i = 0; i < count; i++)
        {
            _batch.Begin(_address, (ushort)_port);
            _batch.Append(_payload, 0, _payload.Length);
        }
        return Math.Max(_batch.Send(_handle, 0), 0);
    }

    private long Ask()
    {
        byte[] message = new byte[8];
        for (int i = 0; i < Questions; i++)
        {
            try
            {
                _ = _questions.Send(message);
                if (_questions.Receive(message) == 8)
                {
                    return BinaryPrimitives.ReadInt64BigEndian(message);
                }
            }
            catch (SocketException)
            {
                // Lost, or not there yet: asked again.
            }
        }
        throw new InvalidOperationException("the receiver does not answer");
    }
}
