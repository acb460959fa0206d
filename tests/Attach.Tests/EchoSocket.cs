using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Xfrmd.Kernel;

namespace Xfrmd.Attach.Tests;

/// <summary>
/// Answers in capitals. Words: <c>caller</c> (who sends), <c>unread</c> (whether all is read), <c>fill N</c> (datagrams of N bytes until the
/// queue is full, then ENOBUFS is pending), <c>dump N</c> (N datagrams, each when all before it is read), <c>none N</c> (nothing; N bytes are only
/// there), <c>refuse</c> (EPERM), <c>throw</c>, <c>acq</c> (net.core.xfrm_acq_expires).
/// </summary>
internal sealed class EchoSocket(Journal journal, IReceiveBuffer buffer, XfrmNamespace space, bool key) : IProtocolSocket
{
    private readonly byte[] _name = [16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    private readonly Dictionary<int, byte[]> _options = [];
    private readonly Lock _gate = new();
    private Errno _pending;
    private int _dumpNext, _dumpEnd;

    public bool AwaitsReceiveSpace => _dumpNext < _dumpEnd;

    public Errno Send(ReadOnlySpan<byte> datagram, ReadOnlySpan<byte> address, in Caller caller)
    {
        string text = Encoding.ASCII.GetString(datagram[..Math.Min(datagram.Length, 64)]);
        journal.Add($"send {datagram.Length} {text}");
        if (!key && address.Length is > 0 and < 12)
        {
            return Errno.EINVAL;
        }
        string[] words = text.Split(' ');
        int number = words.Length > 1 && int.TryParse(words[1], CultureInfo.InvariantCulture, out int n) ? n : 0;
        switch (words[0])
        {
            case "caller":
                Reply($"{caller.Tgid} {caller.NetAdmin}");
                break;
            case "unread":
                Reply(buffer.IsEmpty ? "empty" : "more");
                break;
            case "acq":
                Reply(space.Sysctls.AcqExpires.ToString(CultureInfo.InvariantCulture));
                break;
            case "fill":
                int filled = 0;
                while (buffer.TryEnqueue(new byte[number]))
                {
                    filled++;
                }
                journal.Add($"filled {filled}");
                _pending = Errno.ENOBUFS;
                break;
            case "dump":
                (_dumpNext, _dumpEnd) = (0, number);
                OnReceiveSpace();
                break;
            case "none":
                break;
            case "refuse":
                return Errno.EPERM;
            case "throw":
                throw new InvalidOperationException("asked to");
            default:
                byte[] answer = datagram.ToArray();
                for (int i = 0; i < answer.Length; i++)
                {
                    answer[i] = (byte)char.ToUpperInvariant((char)answer[i]);
                }
                _ = buffer.TryEnqueue(answer);
                break;
        }
        return Errno.None;
    }

    public void OnReceiveSpace()
    {
        lock (_gate)
        {
            while (_dumpNext < _dumpEnd && buffer.IsEmpty)
            {
                Reply($"part {_dumpNext++}");
            }
        }
    }

    public Errno Bind(ReadOnlySpan<byte> address, in Caller caller)
    {
        if (key)
        {
            return Errno.EOPNOTSUPP;
        }
        if (address.Length < 12 || address[0] != 16)
        {
            return Errno.EINVAL;
        }
        address[..12].CopyTo(_name);
        if (BinaryPrimitives.ReadInt32LittleEndian(_name.AsSpan(4)) == 0)
        {
            BinaryPrimitives.WriteInt32LittleEndian(_name.AsSpan(4), caller.Tgid);
        }
        return Errno.None;
    }

    public Errno Connect(ReadOnlySpan<byte> address, in Caller caller) => key ? Errno.EOPNOTSUPP : Errno.None;

    public Errno GetSocketName(Span<byte> address, out int written)
    {
        written = key ? 0 : 12;
        _name.AsSpan(0, written).CopyTo(address);
        return key ? Errno.EOPNOTSUPP : Errno.None;
    }

    public Errno GetPeerName(Span<byte> address, out int written)
    {
        written = key ? 0 : GetReceiveAddress(address, 0);
        return key ? Errno.EOPNOTSUPP : Errno.None;
    }

    public Errno SetOption(int level, int name, ReadOnlySpan<byte> value, in Caller caller)
    {
        if (level != 270 || name > 12)
        {
            return Errno.ENOPROTOOPT;
        }
        _options[name] = value.ToArray();
        return Errno.None;
    }

    public Errno GetOption(int level, int name, Span<byte> value, out int written)
    {
        written = 0;
        if (!_options.TryGetValue(name, out byte[]? stored))
        {
            return Errno.ENOPROTOOPT;
        }
        written = Math.Min(stored.Length, value.Length);
        stored.AsSpan(0, written).CopyTo(value);
        return Errno.None;
    }

    public int GetReceiveAddress(Span<byte> address, int place)
    {
        if (key)
        {
            return 0;
        }
        address[..12].Clear();
        address[0] = 16;
        return 12;
    }

    public Errno TakePendingError()
    {
        Errno errno = _pending;
        _pending = Errno.None;
        return errno;
    }

    public void Dispose() => journal.Add("release");

    private void Reply(string text) => _ = buffer.TryEnqueue(Encoding.ASCII.GetBytes(text));
}
