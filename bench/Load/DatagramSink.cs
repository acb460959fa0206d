using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Linux.Packets;

namespace Xfrmd.Bench.Load;

/// <summary>Counts the datagrams that reach a port, and tells the count to whoever asks on the next port.</summary>
internal sealed class DatagramSink : IDisposable
{
    private const int ReceiveBuffer = 8 << 20, MaxDatagram = 2048, Batch = 128, GatherMicroseconds = 100;
    private readonly Socket _data, _questions;
    private long _received;

    public DatagramSink(int port) => (_data, _questions) = (Bind(port), Bind(port + 1));

    public void Run()
    {
        Thread answers = new(Answer) { IsBackground = true };
        answers.Start();
        using SafeFileHandle handle = new(_data.Handle, ownsHandle: false);
        using WakeEvent never = new();
        ReceiveBatch batch = new(Batch, MaxDatagram, 0, 0, withSource: false);
        ReadyWait wait = new(handle);
        ShortSleep gather = new(never.Handle);
        Console.WriteLine("ready");
        for (; ; )
        {
            int count = batch.Receive(handle);
            if (count > 0)
            {
                Interlocked.Add(ref _received, count);
            }
            if (count <= 0)
            {
                _ = wait.Wait();
                gather.Sleep(GatherMicroseconds);
            }
        }
    }

    public void Dispose()
    {
        _data.Dispose();
        _questions.Dispose();
    }

    private static Socket Bind(int port)
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.SetRawSocketOption(1, 33, BitConverter.GetBytes(ReceiveBuffer));   // SOL_SOCKET, SO_RCVBUFFORCE
        socket.Bind(new IPEndPoint(IPAddress.Any, port));
        return socket;
    }

    private void Answer()
    {
        byte[] message = new byte[8];
        for (; ; )
        {
            EndPoint from = new IPEndPoint(IPAddress.Any, 0);
            _ = _questions.ReceiveFrom(message, ref from);
            BinaryPrimitives.WriteInt64BigEndian(message, Interlocked.Read(ref _received));
            _ = _questions.SendTo(message, from);
        }
    }
}
